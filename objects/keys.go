package objects

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// The keys of the index. All keys of a bucket begin with its name, so that a
// bucket can become a shard of its own; a bucket's name has no slash.
//
//	m/bucket/<bucket>                       the bucket itself
//	b/<bucket>/o/<object key>               current version of an object
//	b/<bucket>/u/<key, escaped>01<upload>   an upload under way, in the order in which S3 lists them
//	b/<bucket>/p/<upload>/                  touched by every part that is written: completion depends on its version
//	b/<bucket>/p/<upload>/<part %05d>       a part, of an upload or of the object that it became
//	b/<bucket>/x/<version>/<piece %05d>     a piece of the stripe list of a large object
//	b/<bucket>/s/<stripe>                   a stripe that small blobs of the bucket share
//	b/<bucket>/l/<version>                  lineage: vectors were derived from this object version
//	b/<bucket>/d/<version>                  source dead: such a version was deleted or replaced; kept until no vectors are left
//	b/<bucket>/v/…, b/<bucket>/t/…          vectors' and tables' own
//	b/<bucket>/c/<door>…                    what a door keeps of the bucket beside its record; goes with the bucket
//
// Uploads, versions and stripes are 32 hex digits.
const (
	bucketPrefix = "m/bucket/"
	ownedPrefix  = "b/"
)

// Kind is a kind of keys within a bucket.
type Kind byte

// The kinds.
const (
	KindObject  Kind = 'o'
	KindUpload  Kind = 'u'
	KindPart    Kind = 'p'
	KindPiece   Kind = 'x'
	KindStripe  Kind = 's' // sorts behind all kinds whose blobs may be packed
	KindLineage Kind = 'l'
	KindDead    Kind = 'd'
	KindVector  Kind = 'v'
	KindTable   Kind = 't'
	KindSetting Kind = 'c'
)

// BucketKey is where a bucket's record lies. A transaction that demands
// KeyExists of it never writes into a bucket that was deleted meanwhile.
func BucketKey(bucket string) []byte { return []byte(bucketPrefix + bucket) }

// KindPrefix begins all keys of one kind in a bucket.
func KindPrefix(bucket string, k Kind) []byte {
	b := make([]byte, 0, len(ownedPrefix)+len(bucket)+3+64)
	b = append(b, ownedPrefix...)
	b = append(b, bucket...)
	return append(b, '/', byte(k), '/')
}

// ObjectKey is where the current version of an object lies.
func ObjectKey(bucket, key string) []byte {
	return append(KindPrefix(bucket, KindObject), key...)
}

// PrefixEnd is the least key above all keys that begin with p; nil where there is none.
func PrefixEnd(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			end := bytes.Clone(p[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// SourceDeadPrefix begins the keys that tell of dead sources in a bucket.
func SourceDeadPrefix(bucket string) []byte { return KindPrefix(bucket, KindDead) }

// ParseSourceDead reads a key below some bucket's SourceDeadPrefix.
func ParseSourceDead(key []byte) (bucket string, v VersionID, ok bool) {
	rest, ok := strings.CutPrefix(string(key), ownedPrefix)
	if !ok {
		return "", v, false
	}
	bucket, rest, ok = strings.Cut(rest, "/")
	if !ok || len(rest) < 2 || rest[:2] != "d/" {
		return "", v, false
	}
	v, err := ParseVersionID(rest[2:])
	return bucket, v, err == nil
}

// stripeKey is where a stripe lies that small blobs share.
func stripeKey(bucket string, id [16]byte) []byte {
	return hex.AppendEncode(KindPrefix(bucket, KindStripe), id[:])
}

// parseOwned cuts a key below b/ into its bucket, its kind, and the rest.
func parseOwned(key []byte) (bucket []byte, k Kind, rest []byte, ok bool) {
	owned, ok := bytes.CutPrefix(key, []byte(ownedPrefix))
	if !ok {
		return nil, 0, nil, false
	}
	bucket, tail, ok := bytes.Cut(owned, []byte("/"))
	if !ok || len(tail) < 2 || tail[1] != '/' {
		return nil, 0, nil, false
	}
	return bucket, Kind(tail[0]), tail[2:], true
}

func lineageKey(bucket string, v VersionID) []byte {
	return append(KindPrefix(bucket, KindLineage), v.String()...)
}

func sourceDeadKey(bucket string, v VersionID) []byte {
	return append(KindPrefix(bucket, KindDead), v.String()...)
}

// segmentsPrefix begins the keys of the parts of one upload, or of the pieces
// of one object version.
func segmentsPrefix(bucket string, k Kind, id VersionID) []byte {
	b := append(KindPrefix(bucket, k), id.String()...)
	return append(b, '/')
}

func segmentKey(bucket string, k Kind, id VersionID, number int) []byte {
	return fmt.Appendf(segmentsPrefix(bucket, k, id), "%0*d", segmentDigits, number)
}

// segmentDigits end a segment's key.
const segmentDigits = 5

// parseSegmentNumber reads the number at the end of a key that begins with a
// segmentsPrefix of that many bytes.
func parseSegmentNumber(key []byte, prefix int) (int, error) {
	digits := key[min(prefix, len(key)):]
	n, err := strconv.ParseUint(string(digits), 10, 31)
	if err != nil || len(digits) != segmentDigits || n == 0 {
		return 0, fmt.Errorf("%w: segment's key %q", ErrCorruptIndexItem, key)
	}
	return int(n), nil
}

// An upload's key holds the object key so that the order of keys is that of
// the listing: by object key, then by upload, the older first. The object key
// ends in 00 01, and a 00 within it is written 00 ff, which keeps its order.
func uploadKey(bucket, key string, id VersionID) []byte {
	return append(uploadKeyPrefix(bucket, key), id.String()...)
}

func uploadKeyPrefix(bucket, key string) []byte {
	return append(escapedKeyPrefix(bucket, key), 0, 1)
}

// escapedKeyPrefix begins the keys of all uploads whose object key begins with prefix.
func escapedKeyPrefix(bucket, prefix string) []byte {
	return append(KindPrefix(bucket, KindUpload), strings.ReplaceAll(prefix, "\x00", "\x00\xff")...)
}

const uploadKeyTail = 2 + 2*len(VersionID{})

// parseUploadKey reads what follows the bucket's prefix in an upload's key.
func parseUploadKey(rest []byte) (key string, id VersionID, ok bool) {
	n := len(rest) - uploadKeyTail
	if n < 0 || rest[n] != 0 || rest[n+1] != 1 {
		return "", id, false
	}
	if _, err := hex.Decode(id[:], rest[n+2:]); err != nil {
		return "", id, false
	}
	return strings.ReplaceAll(string(rest[:n]), "\x00\xff", "\x00"), id, true
}
