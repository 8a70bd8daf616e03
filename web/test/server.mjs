// Starts the built binary, and a small embeddings server, on free ports over fresh drives, and stops them.
import { spawn, execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const top = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const binary = join(top, "bin", "tarn");

export async function startServer() {
  const data = mkdtempSync(join(tmpdir(), "tarn-web-"));
  const child = spawn(binary, ["serve", "--data", data, "--listen", "127.0.0.1:0", "--extent-mib", "8"], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  const url = await new Promise((resolve, reject) => {
    const look = (chunk) => {
      log += chunk;
      const found = /^ready .*?(http:\/\/127\.0\.0\.1:\d+)/m.exec(log);
      if (found) resolve(found[1]);
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    child.on("exit", (code) => reject(new Error(`tarn serve ended with ${code}:\n${log}`)));
  });
  const credentials = Object.fromEntries(
    readFileSync(join(data, "credentials"), "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split("=", 2)),
  );
  const tarn = (args, input) =>
    execFileSync(binary, ["--endpoint", url, "--credentials", join(data, "credentials"), ...args], { input, encoding: "utf8" });
  const stop = async () => {
    const ended = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGTERM");
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  return { url, credentials, tarn, stop, data };
}

/** An OpenAI-compatible embedder that knows three colours by their words. */
export async function startEmbedder() {
  const words = { fire: [1, 0, 0], fruit: [1, 0.6, 0], sea: [0, 0, 1] };
  const embed = (text) => Object.entries(words).find(([word]) => text.includes(word))?.[1] ?? [0.1, 0.1, 0.1];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      const { input } = JSON.parse(body);
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ data: input.map((text, index) => ({ index, embedding: embed(text) })) }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/v1`, stop: () => new Promise((resolve) => server.close(resolve)) };
}
