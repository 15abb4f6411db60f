// SPDX-License-Identifier: Apache-2.0

// Answers each line of JSON on standard input with one on standard output, and ends
// the process with its input, so that no script outlives its test.

import { createInterface } from 'node:readline';

// Standard output is for answers; packages log to standard error.
console.log = console.error;
console.info = console.error;
console.debug = console.error;

/** @param {Record<string, (request: any) => any>} verbs by the name that a request has in "do" */
export async function serve(verbs) {
  const lines = createInterface({ input: process.stdin });
  // Also if a request is never answered.
  lines.once('close', () => { setTimeout(() => process.exit(1), 5000).unref(); });
  for await (const line of lines) {
    let answer;
    try {
      const request = JSON.parse(line);
      if (!Object.hasOwn(verbs, request.do)) throw new Error(`unknown verb ${request.do}`);
      answer = await verbs[request.do](request);
    } catch (err) {
      answer = { error: err?.stack || String(err) };
    }
    process.stdout.write(JSON.stringify(answer ?? {}) + '\n');
  }
  process.exit(0);
}
