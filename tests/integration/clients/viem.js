// SPDX-License-Identifier: MIT
// viem's IPC transport: one connection, no newline behind a request, answers told apart by id.
'use strict';

const { ipc } = require('viem/node');

async function main() {
  const transport = ipc(process.argv[2], { retryCount: 0 })({});
  const client = await transport.value.getRpcClient();
  const ask = (method, params) => client.requestAsync({ body: { method, params } });

  const info = await transport.request({ method: 'daemon.info' });
  const status = await ask('workspace.status', ['scout']);
  const refused = await ask('no.such', []);
  // An answer of many kilobytes comes in pieces, with brackets of all kinds in it.
  const discover = await ask('rpc.discover', []);
  const many = await Promise.all(Array.from({ length: 100 }, (_, i) =>
    ask(i % 2 ? 'daemon.info' : 'workspace.list', [])));
  client.close();
  console.log(JSON.stringify({
    pid: info.pid,
    id: status.result.id,
    code: refused.error.code,
    methods: discover.result.methods.length,
    many: many.filter((answer, i) => (i % 2 ? answer.result.pid : answer.result.workspaces)).length,
  }));
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
