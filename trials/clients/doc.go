// Package clients tries the running binary with the clients that users have:
// aws-sdk-go-v2, minio-go, boto3, LangChain, the SDK for JavaScript, grpcurl, and
// its own command line. Its nouns are Server, Client and Answer.
//
// Each test starts `tarn serve` on a free port of 127.0.0.1 over fresh drives,
// and ends exactly that process. The tests need the binary (TARN_BINARY); some also
// an interpreter with boto3 (TARN_TEST_PYTHON) or with langchain-aws (TARN_TEST_LANGCHAIN),
// Node and the SDK for it (TARN_TEST_NODE_MODULES), or the tool (TARN_TEST_GRPCURL):
// `make test-clients` sees to all of them.
package clients
