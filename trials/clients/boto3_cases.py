"""boto3, unmodified, against a running Tarn: s3 and s3vectors. Run by boto3_test.go, which says where the server is."""

import hashlib
import io
import json
import os
import random
import unittest
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

COMMON = dict(endpoint_url=os.environ["TARN_URL"], region_name="us-east-1",
              aws_access_key_id=os.environ["TARN_ACCESS_KEY"], aws_secret_access_key=os.environ["TARN_SECRET_KEY"])


def code(call, *args, **kwargs):
    """The error code with which a call is refused."""
    try:
        call(*args, **kwargs)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return "no error"


class S3(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = boto3.client("s3", config=botocore.config.Config(signature_version="s3v4"), **COMMON)
        cls.s3.create_bucket(Bucket="boto")

    def test_objects_come_back_whole(self):
        for size in (0, 1, 1024, 1025, 131072, 131073, 3_000_000):
            body = random.Random(size).randbytes(size)
            self.s3.put_object(Bucket="boto", Key=f"whole/{size}", Body=body, Metadata={"a": "b"})
            got = self.s3.get_object(Bucket="boto", Key=f"whole/{size}")
            self.assertEqual(got["Body"].read(), body)
            self.assertEqual(got["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
            self.assertEqual(got["Metadata"], {"a": "b"})

    def test_large_files_go_in_parts(self):
        body = random.Random(1).randbytes(20 << 20)
        self.s3.upload_fileobj(io.BytesIO(body), "boto", "parts")
        out = io.BytesIO()
        self.s3.download_fileobj("boto", "parts", out)
        self.assertEqual(hashlib.sha256(out.getvalue()).digest(), hashlib.sha256(body).digest())

    def test_listing_pages_and_prefixes(self):
        for i in range(25):
            self.s3.put_object(Bucket="boto", Key=f"list/{i % 5}/{i}", Body=b"x")
        page = self.s3.list_objects_v2(Bucket="boto", Prefix="list/", Delimiter="/")
        self.assertEqual([p["Prefix"] for p in page["CommonPrefixes"]], [f"list/{i}/" for i in range(5)])
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="boto", Prefix="list/", PaginationConfig={"PageSize": 7})
        keys = [o["Key"] for p in pages for o in p["Contents"]]
        self.assertEqual(keys, sorted(f"list/{i % 5}/{i}" for i in range(25)))

    def test_conditions_and_errors_have_their_codes(self):
        self.s3.put_object(Bucket="boto", Key="once", Body=b"1")
        self.assertEqual(code(self.s3.put_object, Bucket="boto", Key="once", Body=b"2", IfNoneMatch="*"), "PreconditionFailed")
        self.assertEqual(code(self.s3.get_object, Bucket="boto", Key="absent"), "NoSuchKey")
        self.assertEqual(code(self.s3.get_object, Bucket="no-such-bucket", Key="a"), "NoSuchBucket")
        self.assertEqual(code(self.s3.delete_bucket, Bucket="boto"), "BucketNotEmpty")
        wrong = boto3.client("s3", **{**COMMON, "aws_secret_access_key": "wrong-secret"})
        self.assertEqual(code(wrong.list_buckets), "SignatureDoesNotMatch")

    def test_presigned_urls_work_without_keys(self):
        url = self.s3.generate_presigned_url("put_object", Params={"Bucket": "boto", "Key": "signed"}, ExpiresIn=60)
        with urllib.request.urlopen(urllib.request.Request(url, data=b"presigned", method="PUT")) as r:
            self.assertEqual(r.status, 200)
        with urllib.request.urlopen(self.s3.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "signed"}, ExpiresIn=60)) as r:
            self.assertEqual(r.read(), b"presigned")

    def test_copy_and_batch_delete(self):
        self.s3.put_object(Bucket="boto", Key="from", Body=b"bytes")
        self.s3.copy_object(Bucket="boto", Key="to", CopySource={"Bucket": "boto", "Key": "from"})
        self.assertEqual(self.s3.get_object(Bucket="boto", Key="to")["Body"].read(), b"bytes")
        gone = self.s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": "from"}, {"Key": "to"}, {"Key": "never"}]})
        self.assertEqual(len(gone["Deleted"]), 3)
        self.assertEqual(code(self.s3.head_object, Bucket="boto", Key="to"), "404")


class S3Vectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.v = boto3.client("s3vectors", **COMMON)
        cls.v.create_vector_bucket(vectorBucketName="vectors")
        cls.where = dict(vectorBucketName="vectors", indexName="colours")
        cls.v.create_index(**cls.where, dataType="float32", dimension=3, distanceMetric="cosine",
                           metadataConfiguration={"nonFilterableMetadataKeys": ["note"]})
        cls.v.put_vectors(**cls.where, vectors=[
            {"key": "red", "data": {"float32": [1, 0, 0]}, "metadata": {"warm": True, "note": "fire", "n": 1}},
            {"key": "orange", "data": {"float32": [1, 0.6, 0]}, "metadata": {"warm": True, "n": 2}},
            {"key": "blue", "data": {"float32": [0, 0, 1]}, "metadata": {"warm": False, "n": 3}}])

    def query(self, **kwargs):
        return self.v.query_vectors(**self.where, topK=3, queryVector={"float32": [1, 0.1, 0]}, **kwargs)

    def test_neighbours_come_nearest_first(self):
        answer = self.query(returnDistance=True, returnMetadata=True)
        self.assertEqual([v["key"] for v in answer["vectors"]], ["red", "orange", "blue"])
        self.assertEqual(answer["distanceMetric"], "cosine")
        self.assertAlmostEqual(answer["vectors"][2]["distance"], 1.0, places=5)
        self.assertEqual(answer["vectors"][0]["metadata"], {"warm": True, "note": "fire", "n": 1})

    def test_filters_apply_before_ranking(self):
        self.assertEqual([v["key"] for v in self.query(filter={"warm": False})["vectors"]], ["blue"])
        self.assertEqual([v["key"] for v in self.query(filter={"$and": [{"warm": True}, {"n": {"$gt": 1}}]})["vectors"]], ["orange"])
        self.assertEqual(code(self.query, filter={"note": "fire"}), "ValidationException")
        self.assertEqual(code(self.query, filter={"n": {"$near": 1}}), "ValidationException")

    def test_get_list_and_delete(self):
        self.v.put_vectors(**self.where, vectors=[{"key": "gone", "data": {"float32": [0, 1, 0]}}])
        got = self.v.get_vectors(**self.where, keys=["gone", "absent"], returnData=True)["vectors"]
        self.assertEqual([(v["key"], v["data"]["float32"]) for v in got], [("gone", [0, 1, 0])])
        self.v.delete_vectors(**self.where, keys=["gone"])
        pages = self.v.get_paginator("list_vectors").paginate(**self.where, PaginationConfig={"PageSize": 2})
        self.assertEqual(sorted(v["key"] for p in pages for v in p["vectors"]), ["blue", "orange", "red"])

    def test_bad_input_is_refused_by_name(self):
        for vectors, path in [
            ([{"key": "x", "data": {"float32": [1, 2]}}], "vectors[0].data"),
            ([{"key": "x", "data": {"float32": [0, 0, 0]}}], "vectors[0].data"),
            ([{"key": "x", "data": {"float32": [1, 0, 0]}}] * 2, "vectors[1].key"),
            ([{"key": "x", "data": {"float32": [1, 0, 0]}, "metadata": {"a": {"b": 1}}}], "vectors[0].metadata"),
        ]:
            with self.assertRaises(self.v.exceptions.ValidationException) as refused:
                self.v.put_vectors(**self.where, vectors=vectors)
            self.assertTrue(refused.exception.response["fieldList"][0]["path"].startswith(path), refused.exception.response)
        self.assertEqual(self.v.get_vectors(**self.where, keys=["x"])["vectors"], [])

    def test_a_vector_bucket_is_a_bucket(self):
        self.assertIn("vectors", [b["Name"] for b in boto3.client("s3", **COMMON).list_buckets()["Buckets"]])
        self.assertIn("vectors", [b["vectorBucketName"] for b in self.v.list_vector_buckets()["vectorBuckets"]])
        self.assertEqual(code(self.v.delete_vector_bucket, vectorBucketName="vectors"), "ConflictException")
        self.assertEqual(code(self.v.get_index, vectorBucketName="vectors", indexName="absent"), "NotFoundException")


READER = {**COMMON, "aws_access_key_id": os.environ["TARN_READER_ACCESS_KEY"], "aws_secret_access_key": os.environ["TARN_READER_SECRET_KEY"]}


class Rights(unittest.TestCase):
    """The root key, and one whose policy lets it read the bucket "shared"."""

    @classmethod
    def setUpClass(cls):
        cls.s3, cls.v = boto3.client("s3", **COMMON), boto3.client("s3vectors", **COMMON)
        cls.reader, cls.reads = boto3.client("s3", config=botocore.config.Config(signature_version="s3v4"), **READER), boto3.client("s3vectors", **READER)
        for name in ("shared", "closed"):
            cls.s3.create_bucket(Bucket=name)
            cls.s3.put_object(Bucket=name, Key="a", Body=b"1")
            cls.v.create_index(vectorBucketName=name, indexName="notes", dimension=2, dataType="float32", distanceMetric="euclidean")
            cls.v.put_vectors(vectorBucketName=name, indexName="notes", vectors=[{"key": "k", "data": {"float32": [1, 2]}}])

    def user(self):
        return "arn:aws:iam::000000000000:user/" + READER["aws_access_key_id"]

    def put(self, bucket, *statements):
        self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        self.addCleanup(self.s3.delete_bucket_policy, Bucket=bucket)

    def query(self, bucket):
        return self.reads.query_vectors(vectorBucketName=bucket, indexName="notes", topK=1, queryVector={"float32": [1, 2]})

    def test_a_policy_of_the_key_decides(self):
        self.assertEqual(self.reader.get_object(Bucket="shared", Key="a")["Body"].read(), b"1")
        self.assertEqual(len(self.reader.list_objects_v2(Bucket="shared")["Contents"]), 1)
        self.assertEqual(len(self.query("shared")["vectors"]), 1)
        for call, arguments in [
            (self.reader.put_object, dict(Bucket="shared", Key="b", Body=b"2")),
            (self.reader.delete_object, dict(Bucket="shared", Key="a")),
            (self.reader.get_object, dict(Bucket="closed", Key="a")),
            (self.reader.list_objects_v2, dict(Bucket="closed")),
            (self.reader.get_object, dict(Bucket="not-there", Key="a")),
            (self.reader.list_buckets, {}),
            (self.reader.create_bucket, dict(Bucket="mine")),
            (self.reader.copy_object, dict(Bucket="shared", Key="c", CopySource={"Bucket": "closed", "Key": "a"})),
        ]:
            self.assertEqual(code(call, **arguments), "AccessDenied", (call.__name__, arguments))
        self.assertEqual(code(self.query, "closed"), "AccessDeniedException")
        self.assertEqual(code(self.reads.put_vectors, vectorBucketName="shared", indexName="notes", vectors=[{"key": "x", "data": {"float32": [1, 2]}}]), "AccessDeniedException")
        self.assertEqual(code(self.reads.list_vector_buckets), "AccessDeniedException")

    def test_a_deny_of_the_bucket_wins(self):
        self.put("shared", {"Effect": "Deny", "Principal": {"AWS": self.user()}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/*"})
        self.assertEqual(code(self.reader.get_object, Bucket="shared", Key="a"), "AccessDenied")
        self.assertEqual(self.s3.get_object(Bucket="shared", Key="a")["Body"].read(), b"1")
        with self.assertRaises(botocore.exceptions.ClientError) as refused:
            self.reader.get_object(Bucket="shared", Key="a")
        self.assertIn("explicit deny in a resource-based policy", refused.exception.response["Error"]["Message"])

    def test_an_allow_of_the_bucket_is_enough(self):
        self.put("closed", {"Effect": "Allow", "Principal": {"AWS": self.user()}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::closed/in/*"})
        self.reader.put_object(Bucket="closed", Key="in/a", Body=b"2")
        self.assertEqual(code(self.reader.put_object, Bucket="closed", Key="out", Body=b"2"), "AccessDenied")
        url = self.reader.generate_presigned_url("put_object", Params={"Bucket": "closed", "Key": "in/b"}, ExpiresIn=60)
        with urllib.request.urlopen(urllib.request.Request(url, data=b"presigned", method="PUT")) as r:
            self.assertEqual(r.status, 200)

    def test_policies_of_buckets_come_back_and_go(self):
        self.assertEqual(code(self.s3.get_bucket_policy, Bucket="closed"), "NoSuchBucketPolicy")
        self.put("closed", {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"})
        self.assertEqual(code(self.s3.get_object, Bucket="closed", Key="a"), "AccessDenied")
        self.assertIn('"Deny"', self.s3.get_bucket_policy(Bucket="closed")["Policy"])  # which root may always read and delete
        self.assertFalse(self.s3.get_bucket_policy_status(Bucket="closed")["PolicyStatus"]["IsPublic"])
        self.s3.delete_bucket_policy(Bucket="closed")
        self.assertEqual(code(self.s3.get_bucket_policy, Bucket="closed"), "NoSuchBucketPolicy")
        self.assertEqual(code(self.s3.put_bucket_policy, Bucket="closed", Policy='{"Statement":[{"Effect":"Allow"}]}'), "MalformedPolicy")
        self.assertEqual(code(self.s3.put_bucket_policy, Bucket="not-there", Policy=json.dumps({"Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]})), "NoSuchBucket")


if __name__ == "__main__":
    unittest.main()
