import { useState } from "react";
import { describe, objects } from "./client";
import { moment, size } from "./format";
import { PresignMethod, type Object$ as StoredObject } from "./gen/tarn/v1/object_pb";
import { useLoad } from "./load";

// Of an object, this much is shown as text. Users' content is never run: it is
// put into the page as text, and downloads come with a sandboxing policy.
const previewBytes = 64n << 10n;

export function Preview({ object, close }: { object: StoredObject; close: () => void }) {
  const body = useLoad(() => objects.read({ bucket: object.bucket, key: object.key, lengthBytes: previewBytes }), [object.bucket, object.key, object.version]);
  return (
    <aside aria-label="Object">
      <header>
        <h2>{object.key}</h2>
        <button className="quiet" aria-label="Close" onClick={close}>
          ×
        </button>
      </header>
      <dl>
        <dt>Size</dt>
        <dd>{size(object.bytes)}</dd>
        <dt>Type</dt>
        <dd>{object.contentType || "unknown"}</dd>
        <dt>Modified</dt>
        <dd>{moment(object.modified)}</dd>
        <dt>ETag</dt>
        <dd className="path">{object.etag}</dd>
        <dt>Version</dt>
        <dd className="path">{object.version}</dd>
        {Object.entries(object.metadata).map(([name, value]) => (
          <Entry key={name} name={name} value={value} />
        ))}
      </dl>
      <Download object={object} />
      {body.error && <p className="error">{body.error}</p>}
      {body.value && <Text data={body.value.data} whole={object.bytes <= previewBytes} />}
    </aside>
  );
}

function Entry({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function Text({ data, whole }: { data: Uint8Array; whole: boolean }) {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: whole }).decode(data);
  } catch {
    return <p className="empty">No text: this object is binary.</p>;
  }
  if (text.includes("\u0000")) return <p className="empty">No text: this object is binary.</p>;
  return (
    <>
      <pre data-testid="preview">{text}</pre>
      {!whole && <p className="empty">The first 64 KiB.</p>}
    </>
  );
}

function Download({ object }: { object: StoredObject }) {
  const [error, setError] = useState("");
  const open = () =>
    void objects
      .presign({ bucket: object.bucket, key: object.key, method: PresignMethod.GET, expiresSeconds: 300, origin: window.location.origin })
      .then(({ url }) => window.open(url, "_blank", "noopener"), (e: unknown) => setError(describe(e)));
  return (
    <p>
      <button onClick={open}>Download</button> {error && <span className="error">{error}</span>}
    </p>
  );
}
