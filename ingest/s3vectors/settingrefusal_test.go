package s3vectors

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	taggedBucket = "tags/arn%3Aaws%3As3vectors%3Aeu-west-3%3A000000000000%3Abucket%2Fdocs"
	taggedIndex  = taggedBucket + "%2Findex%2Fnotes"
)

func byMethod(method string) func(*request) { return func(q *request) { q.method = method } }

func policyPut(text string) string { return fmt.Sprintf(`{%s,"policy":%q}`, docs, text) }

// denying is a policy of bucket docs.
func denying(action, more string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"` + action + `","Resource":"*"` + more + `}]}`
}

var settingRefusals = []refusal{
	{name: "no tags", op: taggedBucket, body: `{}`, words: "is needed", path: "tags"},
	{name: "a list of tags", op: taggedBucket, body: `{"tags":["a"]}`, words: "cannot take a JSON array", path: "tags"},
	{name: "an empty tag key", op: taggedBucket, body: `{"tags":{"":"x"}}`, words: "1 to 128", path: "tags"},
	{name: "a tag key of 129", op: taggedBucket, body: `{"tags":{"` + strings.Repeat("k", 129) + `":"x"}}`, words: "1 to 128", path: "tags"},
	{name: "a tag key with a comma", op: taggedBucket, body: `{"tags":{"a,b":"x"}}`, words: "1 to 128", path: "tags"},
	{name: "a reserved tag key", op: taggedIndex, body: `{"tags":{"aws:x":"x"}}`, words: "reserved", path: "tags"},
	{name: "a tag value of 257", op: taggedBucket, body: `{"tags":{"a":"` + strings.Repeat("é", 257) + `"}}`, words: "0 to 256", path: "tags.a"},
	{name: "51 tags", op: taggedBucket, body: `{"tags":{` + many(51, `"k%d":""`) + `}}`, words: "would be 51", path: "tags"},
	{name: "tags of an absent bucket", op: strings.Replace(taggedBucket, "docs", "nowhere", 1), body: `{"tags":{"a":"b"}}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "tags of an absent index", op: taggedBucket + "%2Findex%2Fnothing", change: byMethod(http.MethodGet), status: 404, kind: "NotFoundException", words: "no such index"},
	{name: "tags of another kind", op: "tags/arn%3Aaws%3As3%3A%3A%3Adocs", change: byMethod(http.MethodGet), words: "is not the ARN", path: "resourceArn"},
	{name: "tags of a long name", op: "tags/" + strings.Repeat("a", 1012), change: byMethod(http.MethodGet), words: "the most is 1011", path: "resourceArn"},
	{name: "another method", op: taggedBucket, change: byMethod(http.MethodPut), status: 404, kind: "UnknownOperationException", words: "no such operation: PUT"},
	{name: "untag nothing", op: taggedBucket, change: byMethod(http.MethodDelete), words: "1 to 50", path: "tagKeys"},
	{name: "untag a bad key", op: taggedBucket + "?tagKeys=", change: byMethod(http.MethodDelete), words: "1 to 128", path: "tagKeys"},
	{name: "may not tag", op: taggedBucket, body: `{"tags":{"a":"b"}}`, change: narrow, status: 403, kind: "AccessDeniedException", words: "s3vectors:TagResource"},

	{name: "no policy", op: "PutVectorBucketPolicy", body: "{" + docs + "}", words: "is needed", path: "policy"},
	{name: "a policy that is no text", op: "PutVectorBucketPolicy", body: "{" + docs + `,"policy":{}}`, words: "cannot take a JSON object", path: "policy"},
	{name: "a policy that is no JSON", op: "PutVectorBucketPolicy", body: policyPut("deny all"), words: "is not one", path: "policy"},
	{name: "a policy of an unknown action", op: "PutVectorBucketPolicy", body: policyPut(denying("s3:GetObject", "")), words: "Statement[0].Action", path: "policy"},
	{name: "a policy of another bucket", op: "PutVectorBucketPolicy", body: policyPut(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3vectors:eu-west-3:000000000000:bucket/void"}}`), words: "is not of", path: "policy"},
	{name: "a policy with a condition that is not enforced", op: "PutVectorBucketPolicy", body: policyPut(denying("*", `,"Condition":{"StringEquals":{"s3vectors:sseType":"AES256"}}`)), words: "no condition key", path: "policy"},
	{name: "a policy of 21 KB", op: "PutVectorBucketPolicy", body: policyPut(strings.Repeat(" ", 20<<10) + denying("*", "")), words: "the most is 20480", path: "policy"},
	{name: "a policy of an absent bucket", op: "PutVectorBucketPolicy", body: `{"vectorBucketName":"nowhere","policy":"{}"}`, words: "Statement", path: "policy"},
	{name: "may not put a policy", op: "PutVectorBucketPolicy", body: policyPut(denying("*", "")), change: narrow, status: 403, kind: "AccessDeniedException", words: "access denied"},
	{name: "no policy there", op: "GetVectorBucketPolicy", body: "{" + docs + "}", status: 404, kind: "NotFoundException", words: "has no policy"},
	{name: "policy of an absent bucket", op: "GetVectorBucketPolicy", body: `{"vectorBucketName":"nowhere"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "policy of an absent bucket", op: "DeleteVectorBucketPolicy", body: `{"vectorBucketName":"nowhere"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "policy of no bucket", op: "DeleteVectorBucketPolicy", body: `{}`, words: "is needed", path: "vectorBucketName"},

	{name: "no mode", op: "UpdateIndexMode", body: "{" + docs + `,"indexName":"notes"}`, words: "is needed", path: "indexMode"},
	{name: "mode CLASSIC", op: "UpdateIndexMode", body: "{" + docs + `,"indexName":"notes","indexMode":"CLASSIC"}`, words: "cannot be chosen", path: "indexMode"},
	{name: "unknown mode", op: "UpdateIndexMode", body: "{" + docs + `,"indexName":"notes","indexMode":"enhanced"}`, words: "is not ENHANCED", path: "indexMode"},
	{name: "mode of an absent index", op: "UpdateIndexMode", body: "{" + docs + `,"indexName":"nothing","indexMode":"ENHANCED"}`, status: 404, kind: "NotFoundException", words: "no such index"},
	{name: "may not change a mode", op: "UpdateIndexMode", body: "{" + docs + `,"indexName":"notes","indexMode":"ENHANCED"}`, change: narrow, status: 403, kind: "AccessDeniedException", words: "s3vectors:UpdateIndexMode"},
	{name: "a query in mode CLASSIC", op: "QueryVectors", body: ask(`"queryMode":"CLASSIC"`), words: "cannot be chosen", path: "queryMode"},
	{name: "a query by text", op: "QueryVectors", body: `{` + notes + `"topK":1,"queryTexts":[{"metadataKey":"text","text":"first"}]}`, words: "is not searched by words", path: "queryTexts[0].metadataKey"},
	{name: "an index for text of an unknown language", op: "CreateIndex", body: create(sound + `,"metadataConfiguration":{"textSearchConfigurations":[{"metadataKey":"text","language":"xx"}]}`), words: "is none of da, de, en", path: "metadataConfiguration.textSearchConfigurations[0].language"},
	{name: "11 texts", op: "CreateIndex", body: create(sound + `,"metadataConfiguration":{"textSearchConfigurations":[` + many(11, `{"metadataKey":"k%d"}`) + `]}`), words: "the most is 10", path: "metadataConfiguration.textSearchConfigurations"},
	{name: "a text of 64 characters", op: "UpdateMetadataConfiguration", body: `{` + notes + `"add":{"textSearchConfigurations":[{"metadataKey":"` + strings.Repeat("k", 64) + `"}]}}`, words: "must have 1 to 63", path: "add.textSearchConfigurations"},
	{name: "text search of no key", op: "UpdateMetadataConfiguration", body: `{` + notes + `"add":{"textSearchConfigurations":[{}]}}`, words: "is needed", path: "add.textSearchConfigurations[0].metadataKey"},
	{name: "text search that is not there", op: "UpdateMetadataConfiguration", body: `{` + notes + `"delete":{"textSearchConfigurations":[{"metadataKey":"text"}]}}`, words: "is not searched by words", path: "delete.textSearchConfigurations[0].metadataKey"},
	{name: "11 texts in a query", op: "QueryVectors", body: `{` + notes + `"topK":1,"queryTexts":[` + many(11, `{"metadataKey":"k%d","text":"x"}`) + `]}`, words: "more than 10", path: "queryTexts"},
	{name: "neither", op: "UpdateMetadataConfiguration", body: `{` + docs + `,"indexName":"notes"}`, words: "not both", path: "add"},
	{name: "text search in an absent index", op: "UpdateMetadataConfiguration", body: `{` + docs + `,"indexName":"nothing","add":{}}`, status: 404, kind: "NotFoundException", words: "no such index"},
	{name: "default mode CLASSIC", op: "PutVectorBucketDefaultIndexMode", body: "{" + docs + `,"defaultIndexMode":"CLASSIC"}`, words: "cannot be chosen", path: "defaultIndexMode"},
	{name: "default mode of an absent bucket", op: "PutVectorBucketDefaultIndexMode", body: `{"vectorBucketName":"nowhere","defaultIndexMode":"ENHANCED"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
}
