// SPDX-License-Identifier: Apache-2.0

// playwright-core, driven by the Go package beside this file.

import { existsSync } from 'node:fs';
import { serve } from '../node/serve.mjs';
import { chromium } from 'playwright-core';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

let browser;
let page;

await serve({
  async start() {
    browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'],
    });
    page = await (await browser.newContext({ viewport: { width: 1100, height: 800 } })).newPage();
    page.setDefaultTimeout(20_000);
  },
  // Goes to an address and tells where that has led.
  async visit({ url }) {
    const response = await page.goto(url);
    return { url: page.url(), status: response?.status() ?? 0 };
  },
  async fill({ selector, text }) {
    await page.fill(selector, text);
  },
  async check({ selector }) {
    await page.check(selector);
  },
  // Clicks, and waits for the page that comes of it.
  async submit({ selector }) {
    const [response] = await Promise.all([page.waitForNavigation(), page.click(selector)]);
    return { url: page.url(), status: response?.status() ?? 0 };
  },
  async text({ selector }) {
    return { text: (await page.locator(selector).allInnerTexts()).join('\n') };
  },
  // Runs an expression in the page.
  async run({ script }) {
    return { result: JSON.stringify(await page.evaluate(script)) ?? 'null' };
  },
  async cookies() {
    return { cookies: await page.context().cookies() };
  },
  async screenshot({ path }) {
    await page.screenshot({ path, fullPage: true });
  },
  async stop() {
    await browser.close();
  },
});
