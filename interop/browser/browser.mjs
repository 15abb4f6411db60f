// SPDX-License-Identifier: Apache-2.0

// playwright-core, driven by the Go package in this directory.

import { existsSync } from 'node:fs';
import { serve } from '../node/serve.mjs';
import { chromium } from 'playwright-core';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

// A loaded machine is slow, so only a test that fails waits for so long.
const limit = 90_000;

let browser;
const tabs = []; // by number

async function open(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(limit);
  return tabs.push({ page, context, held: [] }) - 1;
}

// Some parts of an interrupted response never arrive, without an error.
const bounded = (promise) => Promise.race([
  promise, new Promise((_, reject) => { setTimeout(reject, 10_000, new Error('not within 10 s')).unref(); }),
]);

// Opens a tab in a new browser profile.
async function person() {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 } });
  context.exchanges = [];
  context.on('response', (response) => {
    const request = response.request();
    context.exchanges.push({
      url: response.url(), method: request.method(), type: request.resourceType(), status: response.status(),
      // What is known at once, without cookies and Sec-Fetch-*.
      early: { sent: request.headers(), header: response.headers() },
      // Not received yet.
      rest: Promise.allSettled([request.allHeaders(), response.allHeaders(), response.text()].map(bounded)),
    });
  });
  return open(context);
}

// Waits until a condition is true. Playwright's own waiting needs pages that allow
// eval.
async function until(condition, what) {
  const end = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${limit / 1000} s: ${what}`);
    await new Promise((done) => { setTimeout(done, 20); });
  }
}

const answer = (page, response) => ({ url: page.url(), status: response?.status() ?? 0 });

await serve({
  async start() {
    browser = await chromium.launch({
      executablePath,
      // Playwright disables the back/forward cache by default.
      ignoreDefaultArgs: ['--disable-back-forward-cache'],
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync',
        // No requests to other machines.
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
    });
    return { tab: await person() };
  },
  person: async () => ({ tab: await person() }),
  async leave({ tab }) {
    await tabs[tab].context.close();
  },
  tab: async ({ tab }) => ({ tab: await open(tabs[tab].context) }),
  // Opens an address and returns where it leads.
  async visit({ tab, url }) {
    const { page } = tabs[tab];
    return answer(page, await page.goto(url));
  },
  // Goes back or forward. A page from the back/forward cache loads nothing.
  async history({ tab, step }) {
    const { page } = tabs[tab];
    await Promise.all([
      page.waitForEvent('framenavigated', (frame) => frame === page.mainFrame()),
      page.evaluate(`history.go(${step})`).catch(() => {}),
    ]);
    await until(() => page.evaluate("document.readyState === 'complete'").catch(() => false), 'a complete page');
    return answer(page);
  },
  async fill({ tab, selector, text }) {
    await tabs[tab].page.fill(selector, text);
  },
  async check({ tab, selector }) {
    await tabs[tab].page.check(selector);
  },
  async click({ tab, selector }) {
    await tabs[tab].page.click(selector);
  },
  // Clicks and waits for the navigation.
  async submit({ tab, selector }) {
    const { context, page } = tabs[tab];
    const before = context.exchanges.length;
    const [response] = await Promise.all([page.waitForNavigation(), page.click(selector)]);
    if (response) return answer(page, response);
    // Playwright does not always have the response of a redirect to another site.
    // The context has it, or soon will.
    const seen = () => context.exchanges.slice(before).findLast(({ type, url }) => type === 'document' && url === page.url().split('#')[0]);
    await until(seen, 'the response').catch(() => {});
    return { url: page.url(), status: seen()?.status ?? 0 };
  },
  // Opens an address or clicks, and returns the blocked address to which that leads.
  async held({ tab, url, selector }) {
    const { page, held } = tabs[tab];
    const before = held.length;
    if (url) await page.goto(url).catch(() => {}); // aborted
    else await page.click(selector, { noWaitAfter: true });
    await until(() => held.length > before, 'a blocked address');
    return { url: held.at(-1) };
  },
  // Blocks navigations and redirects to matching addresses, until a call without a
  // pattern.
  async hold({ tab, pattern }) {
    const entry = tabs[tab];
    if (!pattern) {
      await entry.session?.detach();
      entry.session = undefined;
      return;
    }
    entry.session = await entry.context.newCDPSession(entry.page);
    entry.session.on('Fetch.requestPaused', async ({ requestId, request }) => {
      entry.held.push(request.url);
      await entry.session?.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' }).catch(() => {});
    });
    await entry.session.send('Fetch.enable', { patterns: [{ urlPattern: pattern }] });
  },
  // Removes a header from the responses of matching addresses.
  async strip({ tab, pattern, header }) {
    const { context, page } = tabs[tab];
    const session = await context.newCDPSession(page);
    session.on('Fetch.requestPaused', ({ requestId, responseStatusCode: responseCode, responseHeaders }) => {
      session.send('Fetch.continueResponse', {
        requestId, responseCode, responseHeaders: responseHeaders.filter(({ name }) => name.toLowerCase() !== header.toLowerCase()),
      }).catch(() => {});
    });
    await session.send('Fetch.enable', { patterns: [{ urlPattern: pattern, requestStage: 'Response' }] });
  },
  async text({ tab, selector }) {
    return { text: (await tabs[tab].page.locator(selector).allInnerTexts()).join('\n') };
  },
  // Waits until an expression is true on the page.
  async until({ tab, script }) {
    // While the page is replaced by the next one, the expression has no value.
    await until(() => tabs[tab].page.evaluate(script).catch((error) => {
      if (!/context was destroyed|navigat/i.test(error.message)) throw error;
    }), script);
  },
  // Evaluates an expression on the page.
  async run({ tab, script }) {
    return { result: JSON.stringify(await tabs[tab].page.evaluate(script)) ?? 'null' };
  },
  // The frames of the page with their text.
  async frames({ tab }) {
    const { page } = tabs[tab];
    const frames = page.frames().filter((frame) => frame !== page.mainFrame());
    return { frames: await Promise.all(frames.map(async (frame) => ({ url: frame.url(), text: await frame.locator('body').innerText() }))) };
  },
  // All strings on the heap of the scripts.
  async memory({ tab }) {
    const { page, context } = tabs[tab];
    const session = await context.newCDPSession(page);
    let snapshot = '';
    session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => { snapshot += chunk; });
    await session.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
    await session.detach();
    return { strings: JSON.parse(snapshot).strings };
  },
  async cookies({ tab }) {
    return { cookies: await tabs[tab].context.cookies() };
  },
  async plant({ tab, cookies }) {
    await tabs[tab].context.addCookies(cookies);
  },
  // All exchanges so far.
  async exchanges({ tab }) {
    return {
      exchanges: await Promise.all(tabs[tab].context.exchanges.map(async ({ rest, early, ...head }) => {
        const [sent, header, body] = (await rest).map(({ value }) => value);
        return { ...head, sent: sent ?? early.sent, header: header ?? early.header, body: body ?? '' };
      })),
    };
  },
  async dark({ tab, dark }) {
    await tabs[tab].page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
  },
  async size({ tab, width, height }) {
    await tabs[tab].page.setViewportSize({ width, height });
  },
  async screenshot({ tab, path }) {
    await tabs[tab].page.screenshot({ path, fullPage: true });
  },
  async stop() {
    await browser.close();
  },
});
