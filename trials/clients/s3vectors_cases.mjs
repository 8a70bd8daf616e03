// The SDK for JavaScript, unmodified, against a running Tarn. Run by vectorclients_test.go.
import assert from "node:assert/strict";
import {
  CreateIndexCommand, CreateVectorBucketCommand, DeleteIndexCommand, DeleteVectorBucketCommand, DeleteVectorBucketPolicyCommand,
  DeleteVectorsCommand, GetIndexCommand, GetVectorBucketPolicyCommand, GetVectorsCommand, ListTagsForResourceCommand,
  PutVectorBucketPolicyCommand, PutVectorsCommand, QueryVectorsCommand, S3VectorsClient, TagResourceCommand, UntagResourceCommand,
  paginateListIndexes, paginateListVectorBuckets, paginateListVectors,
} from "@aws-sdk/client-s3vectors";

const client = new S3VectorsClient({
  endpoint: process.env.TARN_URL, region: "us-east-1",
  credentials: { accessKeyId: process.env.TARN_ACCESS_KEY, secretAccessKey: process.env.TARN_SECRET_KEY },
});
const send = (Command, input) => client.send(new Command(input));
const keys = (answer) => answer.vectors.map((v) => v.key);
const all = async (pages, list, of) => {
  const found = [];
  for await (const p of pages) found.push(...p[list].map(of));
  return found;
};

const bucket = { vectorBucketName: "javascript" };
const index = { ...bucket, indexName: "colours" };
const { vectorBucketArn } = await send(CreateVectorBucketCommand, { ...bucket, tags: { team: "search" } });
const { indexArn } = await send(CreateIndexCommand, { ...index, dataType: "float32", dimension: 3, distanceMetric: "cosine" });
const got = (await send(GetIndexCommand, { indexArn })).index;
assert.equal(got.dimension, 3);
assert.ok(Math.abs(got.creationTime.getTime() - Date.now()) < 60_000);

await send(PutVectorsCommand, { ...index, vectors: [
  { key: "red", data: { float32: [1, 0, 0] }, metadata: { warm: true, n: 1, tags: ["a", "b"] } },
  { key: "orange/ü 😀", data: { float32: [1, 0.6, 0] }, metadata: { warm: true, n: 2 } },
  { key: "blue", data: { float32: [0, 0, 1] }, metadata: { warm: false, n: 3 } },
] });
const query = { ...index, topK: 3, queryVector: { float32: [1, 0.1, 0] } };
assert.deepEqual(keys(await send(QueryVectorsCommand, query)), ["red", "orange/ü 😀", "blue"]);
const answer = await send(QueryVectorsCommand, { ...query, filter: { $and: [{ warm: true }, { n: { $gte: 1 } }] }, returnMetadata: true, returnDistance: true });
assert.deepEqual(answer.vectors[0].metadata, { warm: true, n: 1, tags: ["a", "b"] });
assert.ok(answer.vectors[0].distance < answer.vectors[1].distance);
assert.deepEqual(keys(await send(GetVectorsCommand, { ...index, keys: ["blue", "absent"], returnData: true })), ["blue"]);
assert.deepEqual((await all(paginateListVectors({ client, pageSize: 1 }, { ...index }), "vectors", (v) => v.key)).sort(), ["blue", "orange/ü 😀", "red"]);
const segments = await Promise.all([0, 1, 2].map((i) => all(paginateListVectors({ client }, { ...index, segmentCount: 3, segmentIndex: i }), "vectors", (v) => v.key)));
assert.equal(new Set(segments.flat()).size, 3);
assert.equal(segments.flat().length, 3);
await send(DeleteVectorsCommand, { ...index, keys: ["blue"] });
assert.deepEqual(keys(await send(QueryVectorsCommand, query)), ["red", "orange/ü 😀"]);
assert.deepEqual(await all(paginateListIndexes({ client }, { ...bucket }), "indexes", (i) => i.indexName), ["colours"]);
assert.ok((await all(paginateListVectorBuckets({ client }, {}), "vectorBuckets", (b) => b.vectorBucketName)).includes("javascript"));

await send(TagResourceCommand, { resourceArn: indexArn, tags: { "a b/c": "1", d: "2" } });
await send(UntagResourceCommand, { resourceArn: indexArn, tagKeys: ["a b/c", "x"] });
assert.deepEqual((await send(ListTagsForResourceCommand, { resourceArn: indexArn })).tags, { d: "2" });
assert.deepEqual((await send(ListTagsForResourceCommand, { resourceArn: vectorBucketArn })).tags, { team: "search" });

const policy = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Deny", Principal: "*", Action: "s3vectors:QueryVectors", Resource: "*" }] });
await send(PutVectorBucketPolicyCommand, { ...bucket, policy });
assert.equal((await send(GetVectorBucketPolicyCommand, bucket)).policy, policy);
await assert.rejects(send(QueryVectorsCommand, query), { name: "AccessDeniedException" });
await send(DeleteVectorBucketPolicyCommand, bucket);

await assert.rejects(send(QueryVectorsCommand, { ...query, queryVector: { float32: [1] } }), (e) => e.name === "ValidationException" && e.fieldList[0].path === "queryVector");
await assert.rejects(send(GetIndexCommand, { ...bucket, indexName: "nothing" }), { name: "NotFoundException" });
await assert.rejects(send(DeleteVectorBucketCommand, bucket), { name: "ConflictException" });
await send(DeleteIndexCommand, index);
await send(DeleteVectorBucketCommand, { vectorBucketArn });
console.log("OK");
