// Package erasure is the arithmetic of stripes: Reed-Solomon codes over bytes,
// and nothing else. Its nouns are Code, Shard and Buffer.
//
//	payload   ████████████████████▌            n bytes
//	shards    █████ █████ █████ ██▌∙∙ │ ▒▒▒▒▒ ▒▒▒▒▒
//	          k data shards of ⌈n/k⌉ bytes,     m parity
//	          the last ones padded with zeros
//
// Any k of the k+m shards give back all others. The code works byte by byte:
// the same range of k shards gives back that range of the others. With k = 1
// every shard is a copy of the payload.
//
// Nothing here touches a drive, so there is nothing to promise across a crash.
// Codes and pools may be used by many goroutines at once, a Buffer by one.
// Whether a shard's bytes are right is for the drives' checksums to say.
package erasure
