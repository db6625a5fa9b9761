// SPDX-License-Identifier: MIT
// vscode-jsonrpc, as editors speak to language servers: Content-Length headers both ways.
'use strict';

const net = require('node:net');
const rpc = require('vscode-jsonrpc/node');

async function main() {
  const socket = net.connect(process.argv[2]);
  const connection = rpc.createMessageConnection(
    new rpc.StreamMessageReader(socket), new rpc.StreamMessageWriter(socket));
  const event = new Promise((resolve) => connection.onNotification('event', resolve));
  connection.listen();

  const info = await connection.sendRequest('daemon.info');
  const status = await connection.sendRequest('workspace.status', 'scout');
  const refused = await connection.sendRequest('no.such').catch((error) => error);
  const { subscription } = await connection.sendRequest(
    'events.subscribe', { types: ['workspace.report'] });
  await connection.sendRequest('workspace.report', { current_task: 'größer, schöner' });
  const heard = await event;

  // Its own way to cancel is a notification that means nothing here, and does no harm.
  const source = new rpc.CancellationTokenSource();
  const cancelled = connection.sendRequest('daemon.info', source.token);
  source.cancel();
  await cancelled;

  connection.end();
  connection.dispose();
  console.log(JSON.stringify({
    pid: info.pid,
    id: status.id,
    code: refused.code,
    kind: refused.data.kind,
    mine: heard.subscription === subscription,
    task: heard.data.current_task,
  }));
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
