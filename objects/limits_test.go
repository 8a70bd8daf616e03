package objects

import (
	"errors"
	"strings"
	"testing"
)

func TestBucketNamesFollowS3(t *testing.T) {
	for _, name := range []string{"abc", "a-b.c", "0bucket9", "1.2.3", "my.bucket.2026", strings.Repeat("a", 63), "a.b-c.d"} {
		if err := CheckBucketName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "ab", strings.Repeat("a", 64), "Abc", "_abc", "a_bc", "-abc", "abc-", ".abc", "abc.",
		"a..b", "192.168.5.4", "999.1.2.3", "xn--abc", "sthree-abc", "abc-s3alias", "abc--ol-s3", "a b", "a/b", "a\x00b", "äbc", "a%2fb", "../.."} {
		var invalid *InvalidError
		if err := CheckBucketName(name); !errors.As(err, &invalid) || invalid.Field != "bucket" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestKeysAreOneToAThousandBytesOfUTF8(t *testing.T) {
	for _, key := range []string{"a", "/", "..", "../../etc/passwd", "ä/€", "a\x00b", strings.Repeat("k", KeyBytesMax)} {
		if err := CheckKey(key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	for _, key := range []string{"", strings.Repeat("k", KeyBytesMax+1), "\xff", "a\xc0\x80"} {
		var invalid *InvalidError
		if err := CheckKey(key); !errors.As(err, &invalid) || invalid.Field != "key" {
			t.Errorf("%q: %v", clip(key), err)
		}
	}
}
