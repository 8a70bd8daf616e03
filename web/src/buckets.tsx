import { useEffect, useState, type FormEvent } from "react";
import { describe, objects } from "./client";
import { leaf, moment, size } from "./format";
import type { Object$ as StoredObject } from "./gen/tarn/v1/object_pb";
import { useLoad } from "./load";
import { Preview } from "./preview";
import { href } from "./route";

export function BucketList() {
  const buckets = useLoad(() => objects.listBuckets({}), []);
  return (
    <>
      <header>
        <h1>Buckets</h1>
        <NewBucket made={buckets.reload} />
      </header>
      {buckets.error && <p className="error">{buckets.error}</p>}
      {buckets.value?.buckets.length === 0 && <p className="empty">There is no bucket yet. Make one here, with any S3 client, or with `tarn mb NAME`.</p>}
      {buckets.value && buckets.value.buckets.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Name</th>
              <th>Created</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {buckets.value.buckets.map((bucket) => (
              <tr key={bucket.name}>
                <td>
                  <a href={href("buckets", bucket.name)}>{bucket.name}</a>
                </td>
                <td>{moment(bucket.created)}</td>
                <td>
                  <a href={href("search", bucket.name)}>search</a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function NewBucket({ made }: { made: () => void }) {
  const [name, setName] = useState("");
  const [error, setError] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    objects.createBucket({ name }).then(
      () => {
        setName("");
        setError("");
        made();
      },
      (e: unknown) => setError(describe(e)),
    );
  };
  return (
    <form className="inline" onSubmit={submit}>
      <input aria-label="Name of the new bucket" placeholder="new-bucket" value={name} onChange={(e) => setName(e.target.value)} />
      <button disabled={name === ""}>Make bucket</button>
      {error && <span className="error">{error}</span>}
    </form>
  );
}

interface Listing {
  objects: StoredObject[];
  prefixes: string[];
  next: string;
}

const nothing: Listing = { objects: [], prefixes: [], next: "" };

export function ObjectBrowser({ bucket, prefix }: { bucket: string; prefix: string }) {
  const [listing, setListing] = useState<Listing>(nothing);
  const [error, setError] = useState("");
  const [chosen, setChosen] = useState<StoredObject>();
  const more = (before: Listing) =>
    objects.listObjects({ bucket, prefix, delimiter: "/", pageSize: 200, pageToken: before.next }).then(
      (page) => ({ objects: [...before.objects, ...page.objects], prefixes: [...before.prefixes, ...page.prefixes], next: page.nextPageToken }),
    );
  useEffect(() => {
    let current = true;
    setChosen(undefined);
    setError("");
    more(nothing).then(
      (page) => current && setListing(page),
      (e: unknown) => current && setError(describe(e)),
    );
    return () => {
      current = false;
    };
  }, [bucket, prefix]);
  return (
    <>
      <header>
        <h1>
          <Path bucket={bucket} prefix={prefix} />
        </h1>
        <a href={href("search", bucket)}>search this bucket</a>
      </header>
      {error && <p className="error">{error}</p>}
      <div className="split">
        <ObjectTable listing={listing} bucket={bucket} prefix={prefix} chosen={chosen} choose={setChosen} />
        {chosen && <Preview object={chosen} close={() => setChosen(undefined)} />}
      </div>
      {listing.next && <button onClick={() => more(listing).then(setListing, (e: unknown) => setError(describe(e)))}>More</button>}
    </>
  );
}

function Path({ bucket, prefix }: { bucket: string; prefix: string }) {
  const parts = prefix.split("/").filter((part) => part !== "");
  return (
    <>
      <a href={href("buckets")}>Buckets</a> / <a href={href("buckets", bucket)}>{bucket}</a>
      {parts.map((part, i) => (
        <span key={i}>
          {" / "}
          <a href={href("buckets", bucket, parts.slice(0, i + 1).join("/") + "/")}>{part}</a>
        </span>
      ))}
    </>
  );
}

interface TableProps {
  listing: Listing;
  bucket: string;
  prefix: string;
  chosen?: StoredObject;
  choose: (object: StoredObject) => void;
}

function ObjectTable({ listing, bucket, prefix, chosen, choose }: TableProps) {
  if (listing.objects.length + listing.prefixes.length === 0) return <p className="empty">Nothing is here.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th>Key</th>
          <th className="number">Size</th>
          <th>Modified</th>
        </tr>
      </thead>
      <tbody>
        {listing.prefixes.map((folder) => (
          <tr key={folder}>
            <td>
              <a href={href("buckets", bucket, folder)}>{leaf(folder, prefix)}</a>
            </td>
            <td />
            <td />
          </tr>
        ))}
        {listing.objects.map((object) => (
          <tr key={object.key} className={chosen?.key === object.key ? "chosen" : ""}>
            <td>
              <button className="link" onClick={() => choose(object)}>
                {leaf(object.key, prefix)}
              </button>
            </td>
            <td className="number">{size(object.bytes)}</td>
            <td>{moment(object.modified)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
