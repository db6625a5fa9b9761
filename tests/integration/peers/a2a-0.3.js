// SPDX-License-Identifier: MIT
// An agent on @a2a-js/sdk for A2A 0.3: prints its URL, ends with its standard input.
'use strict';

const { randomUUID } = require('crypto');
const express = require('express');
const { DefaultRequestHandler, InMemoryTaskStore } = require('a2a-sdk-0.3/server');
const { UserBuilder, jsonRpcHandler } = require('a2a-sdk-0.3/server/express');

const card = {
  name: 'Echo', description: 'says what it heard', version: '1.0.0', protocolVersion: '0.3.0',
  url: 'http://127.0.0.1/', preferredTransport: 'JSONRPC', capabilities: { streaming: false },
  defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'],
  skills: [{ id: 'echo', name: 'Echo', description: 'says what it heard', tags: ['echo'] }],
};

// What it heard, each part as the specification has it.
const describe = (part) => {
  if (part.kind === 'text') return part.text;
  if (part.kind === 'data') return JSON.stringify(part.data);
  return `${part.file.name}=${part.file.uri ?? part.file.bytes}`;
};

const executor = {
  async execute({ taskId, contextId, userMessage }, bus) {
    const text = userMessage.parts.map(describe).join('|');
    const parts = [{ kind: 'text', text: `0.3: ${text}` }];
    if (!text.startsWith('task ')) {
      bus.publish({ kind: 'message', role: 'agent', messageId: randomUUID(), contextId, parts });
    } else {
      const state = text.split(' ')[1];
      const said = { kind: 'message', role: 'agent', messageId: randomUUID(), parts };
      bus.publish({ kind: 'task', id: taskId, contextId, history: [userMessage],
        status: { state: 'working' } });
      if (state === 'completed')
        bus.publish({ kind: 'artifact-update', taskId, contextId,
          artifact: { artifactId: 'a', parts }, lastChunk: true });
      bus.publish({ kind: 'status-update', taskId, contextId, final: true,
        status: state === 'completed' ? { state } : { state, message: said } });
    }
    bus.finished();
  },
  async cancelTask() {},
};

const app = express();
app.use('/a2a', jsonRpcHandler({
  requestHandler: new DefaultRequestHandler(card, new InMemoryTaskStore(), executor),
  userBuilder: UserBuilder.noAuthentication,
}));
const server = app.listen(0, '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}/a2a`));
process.stdin.resume().on('end', () => process.exit(0));
