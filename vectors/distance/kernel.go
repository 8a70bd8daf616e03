package distance

// The kernels in use. They are chosen once, before main runs.
var (
	dot1 = dotPlain
	dot4 = dot4Plain
	l21  = l2Plain
	l24  = l24Plain
)

// Accelerated reports whether the assembly kernels are in use.
func Accelerated() bool { return accelerated }

// Dot is Σ a·b. The lengths must be equal.
func Dot(a, b []float32) float32 {
	if len(a) != len(b) {
		panic("distance: vectors of different dimensions")
	}
	return dot1(a, b)
}

// L2 is Σ (a-b)², the squared euclidean distance. The lengths must be equal.
func L2(a, b []float32) float32 {
	if len(a) != len(b) {
		panic("distance: vectors of different dimensions")
	}
	return l21(a, b)
}

// DotRows puts the dot product of q with every row of rows, which is
// [len(out)][len(q)]float32 row major, into out.
func DotRows(q, rows, out []float32) { eachRow(q, rows, out, dot4, dot1) }

// L2Rows puts the squared distance of q to every row of rows into out.
func L2Rows(q, rows, out []float32) { eachRow(q, rows, out, l24, l21) }

func eachRow(q, rows, out []float32, four func(q, rows []float32, out *[4]float32), one func(a, b []float32) float32) {
	d := len(q)
	if len(rows) != d*len(out) {
		panic("distance: rows are not a matrix of the query's dimension")
	}
	i := 0
	for ; i+4 <= len(out); i += 4 {
		four(q, rows[i*d:(i+4)*d], (*[4]float32)(out[i:i+4]))
	}
	for ; i < len(out); i++ {
		out[i] = one(q, rows[i*d:(i+1)*d])
	}
}

// dotPlain keeps eight sums, as the assembly does, so that rounding stays alike.
func dotPlain(a, b []float32) float32 {
	var s [8]float32
	b = b[:len(a)]
	for len(a) >= 8 {
		x, y := (*[8]float32)(a), (*[8]float32)(b)
		s[0] += x[0] * y[0]
		s[1] += x[1] * y[1]
		s[2] += x[2] * y[2]
		s[3] += x[3] * y[3]
		s[4] += x[4] * y[4]
		s[5] += x[5] * y[5]
		s[6] += x[6] * y[6]
		s[7] += x[7] * y[7]
		a, b = a[8:], b[8:]
	}
	sum := fold(&s)
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

func l2Plain(a, b []float32) float32 {
	var s [8]float32
	b = b[:len(a)]
	for len(a) >= 8 {
		x, y := (*[8]float32)(a), (*[8]float32)(b)
		for i := range s {
			t := x[i] - y[i]
			s[i] += t * t
		}
		a, b = a[8:], b[8:]
	}
	sum := fold(&s)
	for i, x := range a {
		t := x - b[i]
		sum += t * t
	}
	return sum
}

func fold(s *[8]float32) float32 {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

func dot4Plain(q, rows []float32, out *[4]float32) {
	d := len(q)
	for i := range out {
		out[i] = dotPlain(q, rows[i*d:(i+1)*d])
	}
}

func l24Plain(q, rows []float32, out *[4]float32) {
	d := len(q)
	for i := range out {
		out[i] = l2Plain(q, rows[i*d:(i+1)*d])
	}
}
