package segment

import (
	"strings"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestASegmentIsDescribedAsFarAsItReaches: header, neighbourhoods and a block; what is cut off or spoilt is
// told, whatever the bytes.
func TestASegmentIsDescribedAsFarAsItReaches(t *testing.T) {
	b := Builder{Sequence: 7, Dimension: 2, Metric: distance.Euclidean}
	rows := []Row{{ID: 1, Key: "a", Vector: []float32{1, 2}}, {ID: 2, Key: "b", Vector: []float32{3, 4}}}
	if err := b.Add(5, rows); err != nil {
		t.Fatal(err)
	}
	data, head := b.Finish()
	text := strings.Join(Describe(data), "\n")
	for _, want := range []string{"sequence 7, dimension 2, 1 neighbourhoods", "neighbourhood 5: 2 rows", "2 rows of dimension 2", "keys: ", "sound"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told:\n%s", want, text)
		}
	}
	if strings.Contains(text, "wrong") || strings.Contains(text, "elsewhere") {
		t.Errorf("a sound segment:\n%s", text)
	}
	for n := range data {
		if text := strings.Join(Describe(data[:n]), "\n"); n >= segmentFixed && !strings.Contains(text, "sequence 7") || n > head && n < len(data)-tierAlign && !strings.Contains(text, "elsewhere") && !strings.Contains(text, "neighbourhood 5") {
			t.Fatalf("%d bytes:\n%s", n, text)
		}
	}
	for i := range data {
		spoilt := append([]byte(nil), data...)
		spoilt[i] ^= 0xff
		Describe(spoilt)
	}
	data[head+blockFixed+8] ^= 1
	if text := strings.Join(Describe(data), "\n"); !strings.Contains(text, "checksum of its header is wrong") {
		t.Errorf("a spoilt block:\n%s", text)
	}
	if Describe([]byte("TVxx and more than thirty-two bytes of something else")) != nil {
		t.Error("other bytes are described")
	}
}
