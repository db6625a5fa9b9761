# SPDX-License-Identifier: MIT
# Completion of molecule-agentctl for bash. The program itself knows what may follow.

_molecule_agentctl() {
    local word help

    COMPREPLY=()
    while IFS=$'\t' read -r word help; do
        if [[ $word == :file ]]; then
            compopt -o default
        else
            COMPREPLY+=("$(printf '%q' "$word")")
        fi
    done < <("${COMP_WORDS[0]}" _complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -F _molecule_agentctl molecule-agentctl
