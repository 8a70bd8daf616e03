import type { JsonObject } from "@bufbuild/protobuf";
import { useEffect, useState, type FormEvent } from "react";
import { describe, objects, vectors } from "./client";
import { Metric, type Explain, type Hit, type Index, type QueryResponse } from "./gen/tarn/v1/vector_pb";
import { useLoad } from "./load";
import { go, href } from "./route";

interface SearchProps {
  bucket: string;
  index: string;
  like: string;
}

export function Search({ bucket, index, like }: SearchProps) {
  const buckets = useLoad(() => objects.listBuckets({}), []);
  const indexes = useLoad(async () => (bucket ? (await vectors.listIndexes({ bucket, pageSize: 1000 })).indexes : []), [bucket]);
  const chosen = indexes.value?.find((i) => i.name === index);
  return (
    <>
      <header>
        <h1>Search</h1>
        <label>
          Bucket
          <select value={bucket} onChange={(e) => go("search", e.target.value)}>
            <option value="">choose…</option>
            {buckets.value?.buckets.map((b) => <option key={b.name}>{b.name}</option>)}
          </select>
        </label>
        <label>
          Index
          <select value={index} disabled={bucket === ""} onChange={(e) => go("search", bucket, e.target.value)}>
            <option value="">choose…</option>
            {indexes.value?.map((i) => <option key={i.name}>{i.name}</option>)}
          </select>
        </label>
      </header>
      {(buckets.error || indexes.error) && <p className="error">{buckets.error || indexes.error}</p>}
      {chosen && <Facts index={chosen} />}
      {chosen && <Ask key={`${bucket}/${index}`} index={chosen} like={like} />}
      {bucket && indexes.value?.length === 0 && <p className="empty">This bucket has no vector index yet. Make one with `tarn index create {bucket}/NAME --dimension N`.</p>}
    </>
  );
}

function Facts({ index }: { index: Index }) {
  return (
    <p className="facts">
      {index.vectors.toLocaleString()} vectors of {index.dimension} · {Metric[index.metric].toLowerCase()} · {index.neighbourhoods.toLocaleString()} neighbourhoods
      {index.recall > 0 && ` · recall@10 ${index.recall.toFixed(3)}`} · {index.embedder ? `text by ${index.embedder.model}` : "no embedder: search by key"}
    </p>
  );
}

function parseFilter(text: string): JsonObject | undefined {
  if (text.trim() === "") return undefined;
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("is not a JSON object");
  return value as JsonObject;
}

function Ask({ index, like }: { index: Index; like: string }) {
  const [text, setText] = useState("");
  const [key, setKey] = useState(like);
  const [filter, setFilter] = useState("");
  const [answer, setAnswer] = useState<QueryResponse>();
  const [error, setError] = useState("");
  const ask = (target: { case: "text" | "like"; value: string }) => {
    setError("");
    let parsed: JsonObject | undefined;
    try {
      parsed = parseFilter(filter);
    } catch (e) {
      setError(`Filter: ${(e as Error).message}`);
      return;
    }
    vectors
      .query({ bucket: index.bucket, index: index.name, target, topK: 20, filter: parsed, withMetadata: true, explain: true })
      .then(setAnswer, (e: unknown) => {
        setAnswer(undefined);
        setError(describe(e));
      });
  };
  useEffect(() => {
    setKey(like);
    if (like) ask({ case: "like", value: like });
  }, [like]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text) ask({ case: "text", value: text });
    else if (key) ask({ case: "like", value: key });
  };
  return (
    <>
      <form className="ask" onSubmit={submit}>
        <input name="text" aria-label="Text" placeholder={index.embedder ? "Ask in plain words" : "This index has no embedder"} disabled={!index.embedder} value={text} onChange={(e) => setText(e.target.value)} />
        <input name="key" aria-label="Key" placeholder="…or the key of a stored vector" value={key} onChange={(e) => setKey(e.target.value)} />
        <input name="filter" aria-label="Filter" placeholder='Filter, such as {"section":"editors"}' value={filter} onChange={(e) => setFilter(e.target.value)} />
        <button disabled={text === "" && key === ""}>Search</button>
      </form>
      {error && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
      {answer && <Hits index={index} hits={answer.hits} explain={answer.explain} />}
    </>
  );
}

function Hits({ index, hits, explain }: { index: Index; hits: Hit[]; explain?: Explain }) {
  if (hits.length === 0) return <p className="empty">Nothing matches.</p>;
  return (
    <>
      <ol className="hits">
        {hits.map((hit) => (
          <li key={hit.key}>
            <div>
              <strong>{hit.key}</strong>
              <span className="distance">{hit.distance.toFixed(4)}</span>
              <a href={href("search", index.bucket, index.name, hit.key)}>similar to this</a>
            </div>
            <Metadata metadata={hit.metadata} />
          </li>
        ))}
      </ol>
      {explain && (
        <p className="facts">
          {explain.exact ? "compared exactly" : `looked into ${explain.probed} of ${explain.neighbourhoods} neighbourhoods`}, {explain.scanned.toLocaleString()} vectors, in {(explain.micros / 1000).toFixed(2)} ms
        </p>
      )}
    </>
  );
}

function Metadata({ metadata }: { metadata?: JsonObject }) {
  if (!metadata) return null;
  const text = metadata["text"];
  const rest = Object.entries(metadata).filter(([name]) => name !== "text");
  return (
    <>
      {typeof text === "string" && <p>{text.length > 300 ? text.slice(0, 299) + "…" : text}</p>}
      <p className="tags">
        {rest.map(([name, value]) => (
          <span key={name}>
            {name}: {typeof value === "string" ? value : JSON.stringify(value)}
          </span>
        ))}
      </p>
    </>
  );
}
