package query

import (
	"container/list"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	connect "connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/tarnlake/tarn/host"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

// How long answers are kept for their further pages, and how many bytes of them.
const (
	pagesKept     = 5 * time.Minute
	pagesBytesMax = 64 << 20
)

// pages keeps answers that were given only in part. The one that was asked for least lately leaves
// first.
type pages struct {
	host *host.Host
	mu   struct {
		sync.Mutex
		answers map[string]*list.Element
		recent  list.List // of *kept; the front was asked for last
		bytes   int
	}
}

// kept is one answer.
type kept struct {
	id    string
	who   string // access key
	hits  []*tarnv1.Hit
	size  int // of a page
	bytes int
	until time.Time
}

func newPages(h *host.Host) *pages {
	p := &pages{host: h}
	p.mu.answers = map[string]*list.Element{}
	return p
}

// first keeps an answer where a page does not hold all of it, and cuts its first page.
func (p *pages) first(ctx context.Context, out *tarnv1.QueryResponse, size int) error {
	if size == 0 || len(out.Hits) <= size {
		return nil
	}
	var id [16]byte
	if _, err := io.ReadFull(p.host.Entropy, id[:]); err != nil {
		return fmt.Errorf("draw a page token: %w", err)
	}
	k := &kept{id: hex.EncodeToString(id[:]), who: callerOf(ctx).AccessKey, hits: out.Hits, size: size, until: p.host.Clock.Now().Add(pagesKept)}
	for _, h := range out.Hits {
		k.bytes += proto.Size(h) + 256
	}
	if k.bytes > pagesBytesMax {
		return connect.Errorf(connect.CodeResourceExhausted, "page_size: the answer has %d bytes, more than the %d that are kept; ask for fewer hits, or without metadata and values", k.bytes, pagesBytesMax)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.answers[k.id] = p.mu.recent.PushFront(k)
	p.mu.bytes += k.bytes
	p.drop()
	out.Hits, out.NextPageToken = k.page(0)
	return nil
}

// drop forgets what is too old or too much. It needs mu.
func (p *pages) drop() {
	now := p.host.Clock.Now()
	for at := p.mu.recent.Back(); at != nil; at = p.mu.recent.Back() {
		k := at.Value.(*kept)
		if p.mu.bytes <= pagesBytesMax && now.Before(k.until) {
			return
		}
		p.mu.recent.Remove(at)
		delete(p.mu.answers, k.id)
		p.mu.bytes -= k.bytes
	}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
	at := p.mu.answers[id]
	if at == nil || at.Value.(*kept).who != callerOf(ctx).AccessKey || from > len(at.Value.(*kept).hits) {
		return nil, "", connect.Errorf(connect.CodeFailedPrecondition, "page_token: the answer is not kept any more; ask the query anew (answers are kept for %v)", pagesKept)
	}
	k := at.Value.(*kept)
	k.until = p.host.Clock.Now().Add(pagesKept)
	p.mu.recent.MoveToFront(at)
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
