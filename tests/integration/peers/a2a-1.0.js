// SPDX-License-Identifier: MIT
// An agent on @a2a-js/sdk for A2A 1.0 that does not understand 0.3: prints its URL, ends with
// its standard input.
'use strict';

const { randomUUID } = require('crypto');
const express = require('express');
const { Message, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent } = require('a2a-sdk-1.0');
const { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } = require('a2a-sdk-1.0/server');
const { UserBuilder, jsonRpcHandler } = require('a2a-sdk-1.0/server/express');

const card = {
  name: 'Echo', description: 'says what it heard', version: '1.0.0',
  supportedInterfaces: [{ url: 'http://127.0.0.1/', protocolBinding: 'JSONRPC',
    protocolVersion: '1.0', tenant: '' }],
  capabilities: { streaming: false, extensions: [] }, securitySchemes: {}, securityRequirements: [],
  defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'], signatures: [],
  skills: [{ id: 'echo', name: 'Echo', description: 'says what it heard', tags: ['echo'],
    examples: [], inputModes: [], outputModes: [], securityRequirements: [] }],
};

// What it heard, each part as the specification has it.
const describe = ({ content: { $case: kind, value }, filename }) => {
  if (kind === 'text') return value;
  if (kind === 'data') return JSON.stringify(value);
  return `${filename}=${kind === 'raw' ? Buffer.from(value).toString('base64') : value}`;
};

const executor = {
  async execute({ taskId, contextId, userMessage }, bus) {
    const text = userMessage.parts.map(describe).join('|');
    const parts = [{ text: `1.0: ${text}` }];
    const said = { messageId: randomUUID(), role: 'ROLE_AGENT', contextId, parts };
    if (!text.startsWith('task ')) {
      bus.publish(AgentEvent.message(Message.fromJSON(said)));
    } else {
      const state = text.split(' ')[1];
      bus.publish(AgentEvent.task(Task.fromJSON({ id: taskId, contextId,
        status: { state: 'TASK_STATE_WORKING' } })));
      if (state === 'TASK_STATE_COMPLETED')
        bus.publish(AgentEvent.artifactUpdate(TaskArtifactUpdateEvent.fromJSON({
          taskId, contextId, artifact: { artifactId: 'a', parts }, lastChunk: true })));
      bus.publish(AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON({ taskId, contextId,
        status: state === 'TASK_STATE_COMPLETED' ? { state } : { state, message: said } })));
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
