package objects

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// Further limits of what a client says of an object.
const (
	ContentTypeBytesMax = 1024
	HeadersBytesMax     = 6 << 10 // names and values
	DelimiterBytesMax   = KeyBytesMax
	bucketBytesMin      = 3
	bucketBytesMax      = 63
)

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Bucket names that S3 keeps for itself.
var (
	reservedBucketPrefixes = []string{"xn--", "sthree-"}
	reservedBucketSuffixes = []string{"-s3alias", "--ol-s3"}
)

// CheckBucketName tells whether a bucket may have this name, by S3's rules.
func CheckBucketName(name string) error {
	if len(name) < bucketBytesMin || len(name) > bucketBytesMax {
		return invalid("bucket", "a name has %d to %d bytes, not %d", bucketBytesMin, bucketBytesMax, len(name))
	}
	for i := range len(name) {
		if c := name[i]; !isLowerOrDigit(c) && c != '-' && c != '.' {
			return invalid("bucket", "a name is made of lower-case letters, digits, dots and hyphens")
		}
	}
	if !isLowerOrDigit(name[0]) || !isLowerOrDigit(name[len(name)-1]) {
		return invalid("bucket", "a name begins and ends with a letter or a digit")
	}
	if strings.Contains(name, "..") {
		return invalid("bucket", "a name has no two dots side by side")
	}
	if _, err := netip.ParseAddr(name); err == nil || looksLikeIPv4(name) {
		return invalid("bucket", "a name does not look like an IP address")
	}
	return checkReserved(name)
}

func isLowerOrDigit(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// looksLikeIPv4 also where a number is no byte, such as 999.1.2.3.
func looksLikeIPv4(name string) bool {
	parts := strings.Split(name, ".")
	return len(parts) == 4 && !slices.ContainsFunc(parts, func(p string) bool {
		return strings.Trim(p, "0123456789") != "" || len(p) > 3
	})
}

func checkReserved(name string) error {
	for _, p := range reservedBucketPrefixes {
		if strings.HasPrefix(name, p) {
			return invalid("bucket", "the prefix %s is reserved", p)
		}
	}
	for _, p := range reservedBucketSuffixes {
		if strings.HasSuffix(name, p) {
			return invalid("bucket", "the suffix %s is reserved", p)
		}
	}
	return nil
}

// CheckKey tells whether an object may have this key.
func CheckKey(key string) error {
	if key == "" || len(key) > KeyBytesMax {
		return invalid("key", "has 1 to %d bytes, not %d", KeyBytesMax, len(key))
	}
	if !utf8.ValidString(key) {
		return invalid("key", "is not valid UTF-8")
	}
	return nil
}

// checkPlace refuses a bucket that cannot exist as one that does not.
func checkPlace(bucket, key string) error {
	if CheckBucketName(bucket) != nil {
		return noBucket(bucket)
	}
	return CheckKey(key)
}

func noBucket(bucket string) error { return fmt.Errorf("%w: %q", ErrNoBucket, clip(bucket)) }

// clip shortens what came from outside and goes into a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func (a about) check() error {
	if len(a.contentType) > ContentTypeBytesMax {
		return invalid("content type", "has %d bytes, at most %d", len(a.contentType), ContentTypeBytesMax)
	}
	if err := checkMap("headers", a.headers, HeadersBytesMax); err != nil {
		return err
	}
	return checkMap("metadata", a.metadata, MetadataBytesMax)
}

func checkMap(field string, m map[string]string, most int) error {
	total := 0
	for name, value := range m {
		if name == "" {
			return invalid(field, "a name is empty")
		}
		total += len(name) + len(value)
	}
	if total > most {
		return invalid(field, "names and values have %d bytes, at most %d", total, most)
	}
	return nil
}

// clone keeps a's maps from later changes by the caller.
func (a about) clone() about {
	a.headers, a.metadata = maps.Clone(a.headers), maps.Clone(a.metadata)
	return a
}

// checkBody refuses a declared size or digest that no body could have.
func checkBody(size int64, md5 []byte, sums Checksums, compute string) error {
	switch {
	case size < -1:
		return invalid("bytes", "cannot be %d", size)
	case size > PutBytesMax:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, int64(PutBytesMax))
	case md5 != nil && len(md5) != 16:
		return invalid("MD5", "has %d bytes, not 16", len(md5))
	case compute != "" && !knownChecksum(compute):
		return invalid("checksum algorithm", "%q is not known", clip(compute))
	}
	return sums.check()
}

func checkPartNumber(n int) error {
	if n < 1 || n > PartsMax {
		return invalid("part number", "lies between 1 and %d, not %d", PartsMax, n)
	}
	return nil
}

// checkPage bounds a page's length.
func checkPage(most *int) error {
	if *most < 0 {
		return invalid("max", "cannot be %d", *most)
	}
	*most = min(*most, ListMax)
	return nil
}

func checkListing(prefix, delimiter, after string) error {
	for _, f := range []struct {
		name, value string
		most        int
	}{{"prefix", prefix, KeyBytesMax}, {"delimiter", delimiter, DelimiterBytesMax}, {"after", after, KeyBytesMax}} {
		if len(f.value) > f.most {
			return invalid(f.name, "has %d bytes, at most %d", len(f.value), f.most)
		}
	}
	return nil
}
