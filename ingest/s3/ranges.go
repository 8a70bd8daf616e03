package s3

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// span is a piece of an object: n bytes from off on.
type span struct{ off, n int64 }

func (s span) contentRange(total int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.off, s.off+s.n-1, total)
}

// parseRange reads a Range header. As S3 does, it takes one range only; several,
// or what is no range of bytes, ask for the whole. ok: the range is to be served;
// an error: it lies outside.
func parseRange(header string, total int64) (s span, ok bool, err error) {
	spec, isBytes := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !isBytes || !dash || strings.Contains(spec, ",") {
		return span{0, total}, false, nil
	}
	if first == "" {
		return suffix(last, total)
	}
	from, okFrom := digits(first)
	to, okTo := int64(math.MaxInt64), true
	if last != "" {
		to, okTo = digits(last)
	}
	if !okFrom || !okTo || to < from {
		return span{0, total}, false, nil
	}
	if from >= total {
		return span{}, false, outside(header, total)
	}
	return span{from, min(to, total-1) - from + 1}, true, nil
}

func suffix(last string, total int64) (span, bool, error) {
	n, ok := digits(last)
	if !ok {
		return span{0, total}, false, nil
	}
	if n == 0 || total == 0 {
		return span{}, false, outside("bytes=-"+last, total)
	}
	n = min(n, total)
	return span{total - n, n}, true, nil
}

// digits reads a number of digits only; one beyond an int64 is as good as its largest.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

func outside(asked string, total int64) *fault {
	return &fault{code: "InvalidRange", status: 416, message: "The requested range is not satisfiable",
		details: []detail{{"RangeRequested", clip(asked)}, {"ActualObjectSize", strconv.FormatInt(total, 10)}},
		header:  map[string]string{"Content-Range": fmt.Sprintf("bytes */%d", total)}}
}

// partSpan is where a part of a multipart object lies. An object that was put
// whole has one part.
func partSpan(parts []int64, total int64, number int) (span, error) {
	if len(parts) == 0 {
		parts = []int64{total}
	}
	if number > len(parts) {
		return span{}, &fault{code: "InvalidPartNumber", status: 416, message: "The requested partnumber is not satisfiable",
			details: []detail{{"PartNumberRequested", strconv.Itoa(number)}, {"ActualPartCount", strconv.Itoa(len(parts))}},
			header:  map[string]string{"Content-Range": fmt.Sprintf("bytes */%d", total)}}
	}
	var s span
	for _, n := range parts[:number] {
		s = span{s.off + s.n, n}
	}
	return s, nil
}
