// The console in real headless Chromium against the running binary.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { startEmbedder, startServer } from "./server.mjs";

const executablePath = process.env.TARN_CHROMIUM ?? "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const hostile = "<html><body><h1 id=h>hello</h1><script>document.cookie='stolen=1';document.getElementById('h').textContent='ran'</script></body></html>";

let server, embedder, browser, work;

before(async () => {
  server = await startServer();
  embedder = await startEmbedder();
  work = mkdtempSync(join(tmpdir(), "tarn-web-files-"));
  const colours = [
    { key: "red", vector: [1, 0, 0], metadata: { warm: true, text: "the colour of fire" } },
    { key: "orange", vector: [1, 0.6, 0], metadata: { warm: true, text: "the colour of fruit" } },
    { key: "blue", vector: [0, 0, 1], metadata: { warm: false, text: "the colour of the sea" } },
  ];
  writeFileSync(join(work, "colours.jsonl"), colours.map((c) => JSON.stringify(c)).join("\n"));
  writeFileSync(join(work, "note.txt"), "a note about <b>lakes</b>\n");
  writeFileSync(join(work, "evil.html"), hostile);
  writeFileSync(join(work, "large.bin"), Buffer.alloc(300_000, "tarn"));
  server.tarn(["mb", "docs"]);
  server.tarn(["mb", "bulk"]);
  server.tarn(["cp", join(work, "large.bin"), "tarn://bulk/large.bin"]);
  server.tarn(["cp", join(work, "note.txt"), "tarn://docs/notes/note.txt"]);
  server.tarn(["cp", join(work, "evil.html"), "tarn://docs/evil.html"]);
  server.tarn(["index", "create", "docs/colours", "--dimension", "3"]);
  server.tarn(["put-vectors", join(work, "colours.jsonl"), "docs/colours"]);
  server.tarn(["index", "create", "docs/words", "--dimension", "3", "--embedder", embedder.url, "--model", "colours"]);
  server.tarn(["put-vectors", join(work, "colours.jsonl"), "docs/words"]);
  browser = await chromium.launch({ executablePath, headless: true, args });
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await embedder?.stop();
  rmSync(work, { recursive: true, force: true });
});

async function visit() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !message.text().includes("401") && complaints.push(message.text()));
  await page.goto(server.url + "/");
  return { context, page, complaints };
}

async function login(page) {
  await page.getByLabel("Access key").fill(server.credentials.TARN_ACCESS_KEY);
  await page.getByLabel("Secret key").fill(server.credentials.TARN_SECRET_KEY);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

test("a wrong key is refused, and says so", async () => {
  const { context, page } = await visit();
  await page.getByLabel("Access key").fill("nobody");
  await page.getByLabel("Secret key").fill("nothing");
  await page.getByRole("button", { name: "Log in" }).click();
  assert.match(await page.getByRole("alert").textContent(), /no such access key/);
  await context.close();
});

test("the overview shows six drives, and that they are one failure domain", async () => {
  const { context, page, complaints } = await visit();
  await login(page);
  await page.getByRole("row").nth(6).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 6);
  assert.match(await page.locator("main").textContent(), /failure domain/);
  if (process.env.TARN_SCREENSHOTS) await page.screenshot({ path: join(process.env.TARN_SCREENSHOTS, "overview.png") });
  assert.deepEqual(complaints, []);
  await context.close();
});

test("the durability page tells of audits, redundancy and the model, and begins an audit", async () => {
  const { context, page, complaints } = await visit();
  await login(page);
  await page.getByRole("link", { name: "Durability" }).click();
  await page.getByRole("heading", { name: "The model" }).waitFor();
  const text = await page.locator("main").textContent();
  for (const said of [/ledger has no open entry/, /nines a year/, /may be lost/, /What it assumes/, /device /]) assert.match(text, said);
  assert.equal(await page.getByTestId("audits").locator("tbody tr").count(), 6);
  await page.getByRole("button", { name: "Audit now" }).click();
  assert.match(await page.getByRole("status").textContent(), /from its beginning/);
  await page.getByText(/[1-9][0-9,]* shards whole, 0 bad/).waitFor();
  if (process.env.TARN_SCREENSHOTS) await page.screenshot({ path: join(process.env.TARN_SCREENSHOTS, "durability.png"), fullPage: true });
  assert.deepEqual(complaints, []);
  await context.close();
});

test("buckets and objects are browsed, and an object's text is shown as text", async () => {
  const { context, page, complaints } = await visit();
  await login(page);
  await page.getByRole("link", { name: "Buckets" }).click();
  await page.getByRole("link", { name: "docs", exact: true }).click();
  await page.getByRole("link", { name: "notes/" }).click();
  await page.getByRole("button", { name: "note.txt" }).click();
  await page.getByTestId("preview").waitFor();
  assert.equal(await page.getByTestId("preview").textContent(), "a note about <b>lakes</b>\n");
  if (process.env.TARN_SCREENSHOTS) await page.screenshot({ path: join(process.env.TARN_SCREENSHOTS, "objects.png") });
  assert.deepEqual(complaints, []);
  await context.close();
});

test("an index is searched by key, with a filter, and hits are shown", async () => {
  const { context, page, complaints } = await visit();
  await login(page);
  await page.goto(server.url + "/_/console/#/search/docs/colours");
  await page.getByLabel("Key", { exact: true }).fill("red");
  await page.getByRole("button", { name: "Search" }).click();
  await page.locator(".hits li").nth(1).waitFor();
  assert.deepEqual(await page.locator(".hits li strong").allTextContents(), ["orange", "blue"]);
  await page.getByLabel("Filter").fill('{"warm":false}');
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".hits li").length === 1);
  assert.equal(await page.locator(".hits li strong").textContent(), "blue");
  if (process.env.TARN_SCREENSHOTS) await page.screenshot({ path: join(process.env.TARN_SCREENSHOTS, "search.png") });
  await page.getByLabel("Filter").fill('{"warm":{"$near":1}}');
  await page.getByRole("button", { name: "Search" }).click();
  assert.match(await page.getByRole("alert").textContent(), /\$near/);
  assert.deepEqual(complaints.filter((c) => !c.includes("400")), []);
  await context.close();
});

test("an index with an embedder is searched by text, and a hit leads to what is similar", async () => {
  const { context, page, complaints } = await visit();
  await login(page);
  await page.goto(server.url + "/_/console/#/search/docs/words");
  await page.getByLabel("Text").fill("the wide sea");
  await page.getByRole("button", { name: "Search" }).click();
  await page.locator(".hits li").nth(2).waitFor();
  assert.equal(await page.locator(".hits li strong").first().textContent(), "blue");
  await page.locator(".hits li", { hasText: "orange" }).getByRole("link", { name: "similar to this" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".hits li").length === 2);
  assert.equal(await page.locator(".hits li strong").first().textContent(), "red");
  assert.deepEqual(complaints, []);
  await context.close();
});

test("no script sees the session, and it lives in no web storage", async () => {
  const { context, page } = await visit();
  await login(page);
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  const [cookie] = await context.cookies();
  assert.equal(cookie.name, "tarn_session");
  assert.ok(cookie.httpOnly);
  assert.equal(cookie.sameSite, "Strict");
  const status = await page.evaluate(async () => (await fetch("/tarn.v1.AdminService/Status", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" })).status);
  assert.equal(status, 403, "a call with the cookie but without the console's header");
  await context.close();
});

test("an uploaded page with a script is shown in a sandbox, where it does not run", async () => {
  const { context, page } = await visit();
  await login(page);
  await page.goto(server.url + "/_/console/#/buckets/docs");
  await page.getByRole("button", { name: "evil.html" }).click();
  const popup = context.waitForEvent("page");
  await page.getByRole("button", { name: "Download" }).click();
  const evil = await popup;
  await evil.waitForLoadState();
  assert.equal(await evil.locator("#h").textContent(), "hello");
  assert.ok(!(await context.cookies()).some((c) => c.name === "stolen"));
  await context.close();
});

test("logging out ends the session", async () => {
  const { context, page } = await visit();
  await login(page);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Access key").waitFor();
  await page.reload();
  await page.getByLabel("Access key").waitFor();
  await context.close();
});
