package distance

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestDistancesAreAsDefined(t *testing.T) {
	q, v := []float32{3, 4}, []float32{4, 3}
	cases := []struct {
		metric Metric
		want   float64
	}{
		{Cosine, 1 - 24.0/25},
		{Euclidean, 2},
		{DotProduct, -24},
	}
	for _, c := range cases {
		query := NewQuery(c.metric, q)
		out := make([]float32, 5)
		rows := []float32{4, 3, 4, 3, 4, 3, 4, 3, 4, 3}
		inv := Inverse(v)
		query.Rows(rows, []float32{inv, inv, inv, inv, inv}, out)
		for _, got := range append(out, query.Row(v, inv)) {
			if math.Abs(float64(got)-c.want) > 1e-6 {
				t.Errorf("%v: %v, want %v", c.metric, got, c.want)
			}
		}
	}
}

func TestCosineStaysWithinItsRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		v := vector(rng, 1+rng.IntN(50))
		Scale(v, float32(math.Pow(10, float64(rng.IntN(30)-15))))
		q := NewQuery(Cosine, v)
		if d := q.Row(v, Inverse(v)); d < 0 || d > 1e-5 {
			t.Fatalf("distance to itself: %v of %v", d, v)
		}
	}
}

func TestMetricsNameThemselves(t *testing.T) {
	for _, m := range []Metric{Cosine, Euclidean, DotProduct} {
		if back, ok := ParseMetric(m.String()); !ok || back != m || !m.Known() {
			t.Errorf("%v reads back as %v", m, back)
		}
	}
	if _, ok := ParseMetric("manhattan"); ok || Metric(9).Known() {
		t.Error("an unknown metric was taken")
	}
}
