# SPDX-License-Identifier: MIT
# Completion of molecule-agentctl for fish. The program itself knows what may follow.

function __molecule_agentctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] _complete -- $words[2..-1] "$current" 2>/dev/null)
    if contains -- :file $lines
        __fish_complete_path "$current"
    else
        string join -- \n $lines
    end
end

complete -c molecule-agentctl -f -a '(__molecule_agentctl_complete)'
