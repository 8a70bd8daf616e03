package objects_test

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/objects"
)

// plainList is the whole listing as S3's manual tells it: objects and common
// prefixes in one order.
func plainList(keys []string, prefix, delimiter, after string) []string {
	var out []string
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) {
			continue
		}
		if delimiter != "" {
			if i := strings.Index(k[len(prefix):], delimiter); i >= 0 {
				common := k[:len(prefix)+i+len(delimiter)]
				if k > after && common != after {
					out = append(out, common+" (prefix)")
				}
				continue
			}
		}
		if k > after {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

func pageEntries(p objects.ListPage) []string {
	var out []string
	for _, o := range p.Objects {
		out = append(out, o.Key)
	}
	for _, c := range p.Prefixes {
		out = append(out, c+" (prefix)")
	}
	sort.Strings(out)
	return out
}

func TestListingsArePagesOfThePlainListing(t *testing.T) {
	s := openStore(t)
	ctx, run := context.Background(), 0
	text := func(most int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.SampledFrom([]rune("ab/é\x00")), 0, most, -1)
	}
	rapid.Check(t, func(t *rapid.T) {
		run++
		r := objects.ListRequest{Bucket: fmt.Sprintf("bucket-%d", run)}
		if _, err := s.CreateBucket(ctx, r.Bucket); err != nil {
			t.Fatal(err)
		}
		keys := rapid.SliceOfNDistinct(text(5).Filter(func(k string) bool { return k != "" }), 0, 25, rapid.ID).Draw(t, "keys")
		for _, k := range keys {
			if _, err := s.Put(ctx, objects.PutRequest{Bucket: r.Bucket, Key: k, Bytes: -1}); err != nil {
				t.Fatal(err)
			}
		}
		sort.Strings(keys)
		for range 4 {
			r.Prefix, r.Delimiter, r.After = text(2).Draw(t, "prefix"), text(2).Draw(t, "delimiter"), text(3).Draw(t, "after")
			r.Max = rapid.IntRange(1, 8).Draw(t, "max")
			want := plainList(keys, r.Prefix, r.Delimiter, r.After)
			for len(want) > 0 {
				page, err := s.List(ctx, r)
				if err != nil {
					t.Fatal(err)
				}
				n := min(r.Max, len(want))
				if got := pageEntries(page); !slices.Equal(got, want[:n]) {
					t.Fatalf("%+v: got %q, want %q", r, got, want[:n])
				}
				if (page.Next == "") != (n == len(want)) {
					t.Fatalf("%+v: next is %q with %d entries left", r, page.Next, len(want)-n)
				}
				r.After, want = page.Next, want[n:]
			}
		}
	})
}

// A thousand keys under one common prefix cost a seek, not a scan.
func TestListingSeeksBehindACommonPrefix(t *testing.T) {
	ctx, s := openBucket(t)
	for i := range 300 {
		mustPut(t, s, fmt.Sprintf("%d/%03d", i%3, i), "x")
	}
	page, err := s.List(ctx, objects.ListRequest{Bucket: "lake", Delimiter: "/", Max: 10})
	if err != nil || !slices.Equal(page.Prefixes, []string{"0/", "1/", "2/"}) || page.Next != "" {
		t.Errorf("got %q, next %q, %v", page.Prefixes, page.Next, err)
	}
}
