// Uses /demo as a person does, mostly with the keyboard; run by
// demo_page_test.cpp.
//
//   node demo_page.mjs FOLDER URL EMAIL PASSWORD
//
// FOLDER holds node_modules with playwright-core. Prints `waiting` when a
// notification titled `Live <b>title</b>` is to be sent. DEMO_CHROMIUM
// names the browser, DEMO_SHOTS a folder for pictures.
import {createRequire} from 'node:module';
import assert from 'node:assert/strict';
import path from 'node:path';

const [folder, url, email, password] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(folder), 'package.json'));
const {chromium} = require('playwright-core');

const browser = await chromium.launch({
  executablePath: process.env.DEMO_CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
const problems = [];

function watch(page) {
  page.setDefaultTimeout(60_000);
  page.on('pageerror', error => problems.push(`page error: ${error}`));
  page.on('console', message => message.type() === 'error' && problems.push(`console: ${message.text()}`));
  return page;
}

async function shot(page, name) {
  if (process.env.DEMO_SHOTS)
    await page.screenshot({path: path.join(process.env.DEMO_SHOTS, `${name}.png`), fullPage: true});
}

async function titles(page) {
  return page.locator('#list .item .title').allTextContents();
}

try {
  const context = await browser.newContext({viewport: {width: 1100, height: 800}});
  const page = watch(await context.newPage());
  await page.goto(`${url}/demo`);

  // Log in with the keyboard alone.
  await page.locator('#page-login input[name=email]').focus();
  await page.keyboard.type(email);
  await page.keyboard.press('Tab');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('login-problem').textContent !== '');
  problems.length = 0; // Chromium logs the refused request.
  await shot(page, 'login');
  await page.locator('#page-login input[name=password]').fill(password);
  await page.keyboard.press('Enter');
  await page.locator('#page-inbox').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('#list .item').length === 2);
  await page.waitForFunction(() => document.getElementById('badge').textContent === '2');
  await page.waitForFunction(() => document.getElementById('live').classList.contains('on'));

  // A second tab, then a live arrival in both.
  const second = watch(await context.newPage());
  await second.goto(`${url}/demo`);
  await second.waitForFunction(() => document.getElementById('live').classList.contains('on'));
  console.log('waiting');
  for (const tab of [second, page]) {
    await tab.bringToFront(); // Chromium slows down those that nobody sees.
    await tab.waitForFunction(() => document.querySelectorAll('#list .item').length === 3);
    assert.ok((await titles(tab))[0].endsWith('Live <b>title</b>'), 'what people wrote is text');
    assert.equal(await tab.locator('#list b').count(), 0);
    // The count follows by a request of its own.
    await tab.waitForFunction(() => document.getElementById('badge').textContent === '3');
  }
  assert.ok((await second.locator('.toast').first().textContent()).includes('Live <b>title</b>'));
  await shot(page, 'inbox-light');
  await second.emulateMedia({colorScheme: 'dark'});

  // The bell opens and closes with the keyboard, and gives the focus back.
  await page.locator('#bell').focus();
  await page.keyboard.press('Enter');
  await page.locator('#bell-panel').waitFor();
  await page.locator('#bell-list .item').first().waitFor();
  await shot(page, 'bell');
  await page.keyboard.press('Escape');
  await page.locator('#bell-panel').waitFor({state: 'hidden'});
  assert.equal(await page.evaluate(() => document.activeElement.id), 'bell');

  // One read, then filters.
  await page.locator('#list .item button', {hasText: 'Mark as read'}).first().press('Enter');
  await page.waitForFunction(() => document.getElementById('badge').textContent === '2');
  await page.locator('#filters select[name=is_read]').selectOption('true');
  await page.waitForFunction(() => document.querySelectorAll('#list .item').length === 1);
  await page.locator('#filters select[name=is_read]').selectOption('');
  await page.locator('#filters input[name=search]').fill('Second');
  await page.waitForFunction(() => document.querySelectorAll('#list .item').length === 1);
  await page.locator('#filters input[name=search]').fill('no such thing');
  await page.locator('#empty').waitFor();
  await page.locator('#filters input[name=search]').fill('');
  await page.waitForFunction(() => document.querySelectorAll('#list .item').length === 3);

  // Why it went where it went.
  await page.locator('#list .item button', {hasText: 'Where did it go?'}).first().click();
  await page.locator('#list .why li', {hasText: 'in-app: sent'}).waitFor();

  await page.locator('#read-all').click();
  await page.locator('#badge').waitFor({state: 'hidden'});

  // Preferences are kept.
  await page.locator('#nav a', {hasText: 'Preferences'}).click();
  const box = page.getByLabel('Post Failed by push');
  await box.focus();
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.getElementById('grid-said').textContent === 'Saved.');
  await page.locator('#phone input').fill('0049 30 1234567');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('phone-said').textContent.includes('+49301234567'));
  await page.locator('#quiet').waitFor();
  await page.locator('#quiet input[name=enabled]').check();
  await page.locator('#quiet button').click();
  await page.waitForFunction(() => document.getElementById('quiet-said').textContent === 'Saved.');
  await page.waitForFunction(() => document.getElementById('push-text').textContent.length > 5);
  await shot(page, 'preferences-light');
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll('#grid tbody').length > 0);
  assert.ok(await page.getByLabel('Post Failed by push').isChecked());
  assert.ok(await page.locator('#quiet input[name=enabled]').isChecked());
  assert.equal(await page.locator('#phone input').inputValue(), '+49301234567');

  // Dark, and narrow.
  await second.bringToFront();
  await second.locator('#nav a', {hasText: 'Preferences'}).click();
  await second.waitForFunction(() => document.querySelectorAll('#grid tbody').length > 0);
  await shot(second, 'preferences-dark');
  await second.setViewportSize({width: 390, height: 800});
  await second.locator('#nav a', {hasText: 'Notifications'}).click();
  await second.waitForFunction(() => document.querySelectorAll('#list .item').length === 3);
  assert.ok(await second.locator('#badge').isHidden(), 'what was read in the other tab is read here');
  await shot(second, 'inbox-dark-narrow');
  const wide = await second.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} pixels too wide for a phone`);

  // Logging out in one tab logs out in the other.
  await page.locator('#log-out').click();
  await page.locator('#page-login').waitFor();
  await second.locator('#page-login').waitFor();
  assert.deepEqual(problems, []);
  console.log('all well');
} catch (error) {
  console.log(`failed: ${error.stack}\n${problems.join('\n')}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
