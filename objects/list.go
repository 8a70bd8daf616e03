package objects

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/tarnlake/tarn/objects/index"
)

// List gives a page of a bucket's objects. It pins nothing: what is put or
// deleted between two pages may or may not be seen.
func (s *Store) List(ctx context.Context, r ListRequest) (ListPage, error) {
	if err := checkPage(&r.Max); err != nil {
		return ListPage{}, err
	}
	if err := checkListing(r.Prefix, r.Delimiter, r.After); err != nil {
		return ListPage{}, err
	}
	if _, err := s.Bucket(ctx, r.Bucket); err != nil {
		return ListPage{}, err
	}
	if r.Max == 0 {
		return ListPage{}, nil
	}
	l := listing{bucket: r.Bucket, roll: roll{r.Prefix, r.Delimiter}, max: r.Max}
	if err := s.walk(ctx, r, &l); err != nil {
		return ListPage{}, fmt.Errorf("list %s: %w", r.Bucket, err)
	}
	return l.page, nil
}

// roll tells which keys are listed as a common prefix.
type roll struct{ prefix, delimiter string }

// up is the common prefix of a key that begins with the prefix.
func (r roll) up(key string) (common string, ok bool) {
	if r.delimiter == "" || !strings.HasPrefix(key, r.prefix) {
		return "", false
	}
	i := strings.Index(key[len(r.prefix):], r.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(r.prefix)+i+len(r.delimiter)], true
}

// is tells whether s is itself a common prefix.
func (r roll) is(s string) bool {
	common, ok := r.up(s)
	return ok && common == s
}

// listing gathers a page.
type listing struct {
	bucket string
	roll   roll
	max    int
	page   ListPage
	last   string // key or common prefix given last
}

func (l *listing) full() bool { return len(l.page.Objects)+len(l.page.Prefixes) == l.max }

// walk scans from After on. Behind a key that is rolled up it seeks to the end
// of the common prefix, so that a page costs no more seeks than it has entries.
func (s *Store) walk(ctx context.Context, r ListRequest, l *listing) error {
	first := ObjectKey(r.Bucket, r.Prefix)
	lo, hi := first, PrefixEnd(first)
	if after := l.start(r.After); bytes.Compare(after, lo) > 0 {
		lo = after
	}
	for lo != nil && bytes.Compare(lo, hi) < 0 {
		var err error
		if lo, err = s.step(ctx, lo, hi, l); err != nil {
			return err
		}
	}
	return nil
}

// start is the least index key behind after.
func (l *listing) start(after string) []byte {
	switch {
	case after == "":
		return nil
	case l.roll.is(after):
		return PrefixEnd(ObjectKey(l.bucket, after))
	}
	return append(ObjectKey(l.bucket, after), 0)
}

// step scans to the next common prefix, and returns where to go on; nil at the end.
func (s *Store) step(ctx context.Context, lo, hi []byte, l *listing) ([]byte, error) {
	skip := len(KindPrefix(l.bucket, KindObject))
	for item, err := range s.Index().Scan(ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return nil, err
		}
		if l.full() {
			l.page.Next = l.last
			return nil, nil
		}
		key := string(item.Key[skip:])
		common, rolled := l.roll.up(key)
		if rolled {
			l.page.Prefixes = append(l.page.Prefixes, common)
			l.last = common
			return PrefixEnd(ObjectKey(l.bucket, common)), nil
		}
		p, err := decodePresent(item)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", clip(key), err)
		}
		l.page.Objects = append(l.page.Objects, p.record.object(l.bucket, key, item.Version))
		l.last = key
	}
	return nil, nil
}
