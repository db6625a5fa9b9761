// SPDX-License-Identifier: MIT
// jayson's TCP client, given a path: a connection for each request, a line each way.
'use strict';

const jayson = require('jayson');
const client = jayson.Client.tcp({ path: process.argv[2] });

const request = (...args) => new Promise((resolve, reject) =>
  client.request(...args, (error, answer) => (error ? reject(error) : resolve(answer))));

async function main() {
  const info = await request('daemon.info', {});
  const status = await request('workspace.status', ['scout']);
  const refused = await request('no.such', []);
  await request('daemon.info', {}, null); // a notification: jayson does not wait for anything
  const batch = await request([
    client.request('daemon.info', {}, undefined, false),
    client.request('workspace.list', {}, undefined, false),
    client.request('daemon.info', {}, null, false),
  ]);
  const many = await Promise.all(Array.from({ length: 50 }, () => request('workspace.list', {})));
  console.log(JSON.stringify({
    pid: info.result.pid,
    id: status.result.id,
    code: refused.error.code,
    batch: batch.map((answer) => Object.keys(answer.result)[0]).sort(),
    many: many.filter((answer) => answer.result.workspaces.length === 1).length,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
