package durability

import "math"

// Confidence of the upper bounds.
const Confidence = 0.95

// UpperBound is the exact one-sided upper confidence bound of a Poisson mean of
// which n events were counted: the mean at which n or fewer of them would come with
// a probability of no more than 1 - Confidence (Garwood, 1936).
func UpperBound(n uint64) float64 {
	lo, hi := float64(n), float64(n)+4*math.Sqrt(float64(n)+1)+4
	for range 100 {
		mid := (lo + hi) / 2
		if atMost(n, mid) > 1-Confidence {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// atMost is the probability of n or fewer events where the mean is x.
func atMost(n uint64, x float64) float64 {
	if n > 10_000 { // normal, after Wilson and Hilferty's cube root
		m := float64(n) + 1
		z := (math.Cbrt(x/m) - (1 - 1/(9*m))) * 3 * math.Sqrt(m)
		return math.Erfc(z/math.Sqrt2) / 2
	}
	term := -x // logarithm
	sum := math.Exp(term)
	for i := uint64(1); i <= n; i++ {
		term += math.Log(x) - math.Log(float64(i))
		sum += math.Exp(term)
	}
	return sum
}
