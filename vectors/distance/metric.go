package distance

import (
	"fmt"
	"math"
)

// Metric says how two vectors are compared. Its values are kept on disk.
type Metric uint8

// The metrics.
const (
	Cosine Metric = 1 + iota
	Euclidean
	DotProduct
)

var metricNames = map[Metric]string{Cosine: "cosine", Euclidean: "euclidean", DotProduct: "dot"}

func (m Metric) String() string {
	if name, ok := metricNames[m]; ok {
		return name
	}
	return fmt.Sprintf("metric %d", uint8(m))
}

// Known reports whether m is one of the metrics.
func (m Metric) Known() bool { return metricNames[m] != "" }

// ParseMetric reads what String wrote.
func ParseMetric(s string) (Metric, bool) {
	for m, name := range metricNames {
		if name == s {
			return m, true
		}
	}
	return 0, false
}

// Norm is the euclidean length of a.
func Norm(a []float32) float32 { return float32(math.Sqrt(float64(Dot(a, a)))) }

// Inverse is what cosine keeps beside each row: 1 over its length, and 0 for the
// zero vector. It is computed in float64, so that no length overflows.
func Inverse(a []float32) float32 {
	var sum float64
	for _, x := range a {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return 0
	}
	return float32(1 / math.Sqrt(sum))
}

// Query is one vector made ready to be compared with many. It is read-only
// after NewQuery and may be shared.
type Query struct {
	metric Metric
	vector []float32 // of length 1 under Cosine
}

// NewQuery copies v.
func NewQuery(m Metric, v []float32) *Query {
	q := &Query{metric: m, vector: append([]float32(nil), v...)}
	if m == Cosine {
		Scale(q.vector, Inverse(v))
	}
	return q
}

// Scale multiplies every number of a by f.
func Scale(a []float32, f float32) {
	for i := range a {
		a[i] *= f
	}
}

// Add adds b to a, number by number. The lengths must be equal.
func Add(a, b []float32) {
	b = b[:len(a)]
	for i, x := range b {
		a[i] += x
	}
}

// Vector is the query's vector, of length 1 under Cosine. It must not be changed.
func (q *Query) Vector() []float32 { return q.vector }

// Rows puts the distance to every row of rows ([len(out)][d]float32, row major)
// into out. inverses are the rows' Inverse; only Cosine reads them.
func (q *Query) Rows(rows, inverses, out []float32) {
	switch q.metric {
	case Euclidean:
		L2Rows(q.vector, rows, out)
	case Cosine:
		DotRows(q.vector, rows, out)
		for i := range out {
			out[i] = fromCosine(out[i] * inverses[i])
		}
	default:
		DotRows(q.vector, rows, out)
		for i := range out {
			out[i] = -out[i]
		}
	}
}

// Row is Rows for one row.
func (q *Query) Row(row []float32, inverse float32) float32 {
	switch q.metric {
	case Euclidean:
		return L2(q.vector, row)
	case Cosine:
		return fromCosine(Dot(q.vector, row) * inverse)
	default:
		return -Dot(q.vector, row)
	}
}

// fromCosine keeps rounding from showing a distance outside 0 to 2.
func fromCosine(cos float32) float32 { return min(max(1-cos, 0), 2) }
