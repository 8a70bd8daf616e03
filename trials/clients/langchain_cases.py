"""LangChain's AmazonS3Vectors and the newest boto3, unmodified, against a running Tarn. Run by vectorclients_test.go."""

import hashlib
import json
import os
import unittest

import boto3
import botocore.exceptions
from langchain_aws.vectorstores.s3_vectors import AmazonS3Vectors
from langchain_core.embeddings import Embeddings

COMMON = dict(endpoint_url=os.environ["TARN_URL"], region_name="us-east-1",
              aws_access_key_id=os.environ["TARN_ACCESS_KEY"], aws_secret_access_key=os.environ["TARN_SECRET_KEY"])


class Words(Embeddings):
    """A text is the sum of its words, each a direction of its own."""

    def embed_query(self, text):
        sum_of = [0.0] * 64
        for word in text.lower().split():
            sum_of[hashlib.sha256(word.encode()).digest()[0] % 64] += 1.0
        return sum_of

    def embed_documents(self, texts):
        return [self.embed_query(t) for t in texts]


class LangChain(unittest.TestCase):
    def test_documents_are_found_filtered_and_deleted(self):
        boto3.client("s3vectors", **COMMON).create_vector_bucket(vectorBucketName="chain")
        store = AmazonS3Vectors(vector_bucket_name="chain", index_name="texts", embedding=Words(), **COMMON,
                                non_filterable_metadata_keys=["_page_content"])
        texts = ["the lighthouse stands on the cliff", "a boat leaves the harbour", "bread rises in the oven", "the cliff above the harbour"]
        ids = store.add_texts(texts, [{"n": i, "sea": i != 2} for i in range(4)], ids=["a", "b", "c", "d"])
        self.assertEqual(ids, ["a", "b", "c", "d"])
        self.assertEqual([d.id for d in store.similarity_search("bread oven", k=1)], ["c"])
        found = store.similarity_search_with_score("the cliff harbour", k=4, filter={"sea": True})
        self.assertEqual(len(found), 3)
        self.assertEqual(found[0][0].page_content, texts[3])
        self.assertEqual(found[0][0].metadata, {"n": 3, "sea": True})
        self.assertLessEqual(found[0][1], found[1][1])
        self.assertEqual([d.page_content for d in store.get_by_ids(["b", "a"])], [texts[1], texts[0]])
        store.delete(["c"])
        with self.assertRaises(ValueError):
            store.get_by_ids(["c"])
        self.assertNotIn("c", [d.id for d in store.similarity_search("bread oven", k=4)])
        store.delete()
        with self.assertRaises(botocore.exceptions.ClientError):
            store.similarity_search("bread", k=1)


class NewestBoto3(unittest.TestCase):
    def setUp(self):
        self.v = boto3.client("s3vectors", **COMMON)
        self.bucket = "newest-" + self.id().rsplit("_", 1)[-1]
        self.arn = self.v.create_vector_bucket(vectorBucketName=self.bucket, tags={"team": "search"})["vectorBucketArn"]
        self.where = dict(vectorBucketName=self.bucket, indexName="points")
        self.v.create_index(**self.where, dataType="float32", dimension=2, distanceMetric="euclidean", tags={"stage": "test"})

    def refused(self, code, call, **kwargs):
        with self.assertRaises(botocore.exceptions.ClientError) as e:
            call(**kwargs)
        self.assertEqual(e.exception.response["Error"]["Code"], code)
        return e.exception.response

    def test_operations_on_tags(self):
        index = self.arn + "/index/points"
        self.v.tag_resource(resourceArn=index, tags={"owner": "Søren & co".replace("&", "@")})
        self.assertEqual(self.v.list_tags_for_resource(resourceArn=index)["tags"], {"stage": "test", "owner": "Søren @ co"})
        self.v.untag_resource(resourceArn=index, tagKeys=["stage", "owner"])
        self.assertEqual(self.v.list_tags_for_resource(resourceArn=index)["tags"], {})
        self.assertEqual(self.v.list_tags_for_resource(resourceArn=self.arn)["tags"], {"team": "search"})

    def test_operations_on_policy(self):
        policy = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Sid": "keep", "Effect": "Deny", "Principal": "*", "Action": "s3vectors:DeleteIndex", "Resource": self.arn + "/index/*"}]})
        self.refused("NotFoundException", self.v.get_vector_bucket_policy, vectorBucketName=self.bucket)
        self.v.put_vector_bucket_policy(vectorBucketArn=self.arn, policy=policy)
        self.assertEqual(self.v.get_vector_bucket_policy(vectorBucketName=self.bucket)["policy"], policy)
        self.refused("AccessDeniedException", self.v.delete_index, **self.where)
        self.v.delete_vector_bucket_policy(vectorBucketName=self.bucket)
        self.v.delete_index(**self.where)

    def test_index_mode(self):
        self.assertEqual(self.v.get_index(**self.where)["index"]["indexMode"], "ENHANCED")
        self.assertEqual(self.v.get_vector_bucket(vectorBucketName=self.bucket)["vectorBucket"]["defaultIndexMode"], "ENHANCED")
        self.v.update_index_mode(**self.where, indexMode="ENHANCED")
        self.v.put_vector_bucket_default_index_mode(vectorBucketArn=self.arn, defaultIndexMode="ENHANCED")
        said = self.refused("ValidationException", self.v.update_index_mode, **self.where, indexMode="CLASSIC")
        self.assertEqual([f["path"] for f in said["fieldList"]], ["indexMode"])

    def test_full_text(self):
        of = {"vectorBucketName": self.bucket, "indexName": "pages"}
        self.v.create_index(**of, dataType="float32", dimension=2, distanceMetric="euclidean",
                            metadataConfiguration={"textSearchConfigurations": [{"metadataKey": "text"}]})
        self.v.put_vectors(**of, vectors=[
            {"key": key, "data": {"float32": [i, 0]}, "metadata": {"text": text, "title": title}} for i, (key, text, title) in enumerate([
                ("fox", "the quick brown fox", "animals"), ("dog", "a lazy dog and a fox", "animals"), ("sea", "waves of the sea", "water")])])

        def found(**how):
            return [v["key"] for v in self.v.query_vectors(**of, topK=3, **how)["vectors"]]

        words = [{"text": "fox quick", "metadataKey": "text"}]
        self.assertEqual(found(queryTexts=words), ["fox", "dog"])
        self.assertEqual(found(queryTexts=words, filter={"title": "water"}), [])
        self.assertEqual(set(found(queryTexts=words, queryVector={"float32": [2, 0]})), {"fox", "dog", "sea"})
        scored = self.v.query_vectors(**of, topK=1, queryTexts=words, returnScores=True)["vectors"][0]
        self.assertEqual([s["metadataKey"] for s in scored["scores"]["bm25Scores"]], ["text"])
        self.assertGreater(scored["scores"]["bm25Scores"][0]["score"], 0)
        fused = self.v.query_vectors(**of, topK=1, queryTexts=words, queryVector={"float32": [0, 0]}, returnScores=True)["vectors"][0]
        self.assertEqual((fused["key"], fused["scores"]["vectorDistance"]), ("fox", 0))
        self.assertGreater(fused["scores"]["fused"], 0)

        elsewhere = [{"text": "animals", "metadataKey": "title"}]
        said = self.refused("ValidationException", self.v.query_vectors, **of, topK=1, queryTexts=elsewhere)
        self.assertEqual([f["path"] for f in said["fieldList"]], ["queryTexts[0].metadataKey"])
        self.v.update_metadata_configuration(**of, add={"textSearchConfigurations": [{"metadataKey": "title"}]})
        self.assertEqual(set(found(queryTexts=elsewhere)), {"fox", "dog"})
        kept = self.v.get_index(**of)["index"]["metadataConfiguration"]["textSearchConfigurations"]
        self.assertEqual({k["metadataKey"] for k in kept}, {"text", "title"})

    def test_query_pages(self):
        for first in range(0, 1200, 300):
            self.v.put_vectors(**self.where, vectors=[
                {"key": f"k{i}", "data": {"float32": [i, 0]}, "metadata": {"t": "x" * 1900}} for i in range(first, first + 300)])
        pages = list(self.v.get_paginator("query_vectors").paginate(
            **self.where, topK=1100, queryVector={"float32": [-1, 0]}, returnMetadata=True))
        self.assertGreater(len(pages), 1)
        self.assertEqual([v["key"] for p in pages for v in p["vectors"]], [f"k{i}" for i in range(1100)])
