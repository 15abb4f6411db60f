// SPDX-License-Identifier: Apache-2.0

// Answers one JSON value a line on standard input with one on standard output,
// and ends the process when the input ends: no script outlives its test.

import { createInterface } from 'node:readline';

// Standard output carries answers only; packages that are chatty go elsewhere.
console.log = console.error;
console.info = console.error;
console.debug = console.error;

/** @param {Record<string, (request: any) => any>} verbs by the name that a request has in "do" */
export async function serve(verbs) {
  const lines = createInterface({ input: process.stdin });
  // Also where a request is never answered.
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
