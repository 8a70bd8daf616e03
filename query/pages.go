package query

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	connect "connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/tarnlake/tarn/host"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	pagesof "github.com/tarnlake/tarn/vectors/pages"
)

// pages keeps answers that were given only in part.
type pages struct {
	host  *host.Host
	shelf *pagesof.Shelf[*kept]
}

// kept is one answer.
type kept struct {
	id   string
	who  string // access key
	hits []*tarnv1.Hit
	size int // of a page
}

func newPages(h *host.Host) *pages { return &pages{h, pagesof.New[*kept](h.Clock)} }

// first keeps an answer where a page does not hold all of it, and cuts its first page.
func (p *pages) first(ctx context.Context, out *tarnv1.QueryResponse, size int) error {
	if size == 0 || len(out.Hits) <= size {
		return nil
	}
	var id [16]byte
	if _, err := io.ReadFull(p.host.Entropy, id[:]); err != nil {
		return fmt.Errorf("draw a page token: %w", err)
	}
	k := &kept{id: hex.EncodeToString(id[:]), who: callerOf(ctx).AccessKey, hits: out.Hits, size: size}
	bytes := 0
	for _, h := range out.Hits {
		bytes += proto.Size(h) + 256
	}
	if !p.shelf.Keep(k.id, k, bytes) {
		return connect.Errorf(connect.CodeResourceExhausted, "page_size: the answer has %d bytes, more than the %d that are kept; ask for fewer hits, or without metadata and values", bytes, pagesof.BytesMax)
	}
	out.Hits, out.NextPageToken = k.page(0)
	return nil
}

// page cuts the hits from a place on; next is "" at the end.
func (k *kept) page(from int) (hits []*tarnv1.Hit, next string) {
	end := min(from+k.size, len(k.hits))
	if end < len(k.hits) {
		next = k.id + "." + strconv.Itoa(end)
	}
	return k.hits[from:end], next
}

// next is the page that a token means. A token may be asked for again.
func (p *pages) next(ctx context.Context, token string) (hits []*tarnv1.Hit, next string, err error) {
	id, place, _ := strings.Cut(token, ".")
	from, err := strconv.Atoi(place)
	if err != nil || from < 0 || len(id) != 32 {
		return nil, "", invalid("page_token", "%.64q is none that this server gave", token)
	}
	k, ok := p.shelf.Find(id)
	if !ok || k.who != callerOf(ctx).AccessKey || from > len(k.hits) {
		return nil, "", connect.Errorf(connect.CodeFailedPrecondition, "page_token: the answer is not kept any more; ask the query anew (answers are kept for %v)", pagesof.Life)
	}
	hits, next = k.page(from)
	return hits, next, nil
}

func (s *vectorService) QueryPage(ctx context.Context, req *tarnv1.QueryPageRequest) (*tarnv1.QueryPageResponse, error) {
	hits, next, err := s.pages.next(ctx, req.PageToken)
	if err != nil {
		return nil, err
	}
	return &tarnv1.QueryPageResponse{Hits: hits, NextPageToken: next}, nil
}
