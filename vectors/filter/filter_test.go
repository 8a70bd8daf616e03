package filter

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFiltersMeanWhatTheySay(t *testing.T) {
	doc := mustPack(t, `{"year": 2020, "name": "tarn", "tags": ["a", "b"], "open": true, "none": []}`)
	cases := map[string]bool{
		`{}`: true, `null`: true, ``: true,
		`{"year": 2020}`: true, `{"year": 2021}`: false, `{"year": "2020"}`: false,
		`{"year": {"$eq": 2020.0}}`: true, `{"year": {"$ne": 2020}}`: false,
		`{"year": {"$gt": 2019, "$lt": 2021}}`: true, `{"year": {"$gte": 2021}}`: false, `{"year": {"$lte": 2020}}`: true,
		`{"name": {"$gt": "ta"}}`: true, `{"name": {"$gt": 3}}`: false,
		`{"tags": "a"}`: true, `{"tags": "c"}`: false, `{"tags": {"$in": ["x", "b"]}}`: true,
		`{"tags": {"$nin": ["x", "b"]}}`: false, `{"tags": {"$ne": "a"}}`: false,
		`{"open": true}`: true, `{"open": {"$in": [false]}}`: false,
		`{"gone": {"$exists": false}}`: true, `{"none": {"$exists": true}}`: true,
		`{"gone": {"$ne": 1}}`: true, `{"gone": 1}`: false, `{"gone": {"$nin": [1]}}`: true,
		`{"$and": [{"year": 2020}, {"open": true}]}`: true, `{"$and": [{"year": 2020}, {"open": false}]}`: false,
		`{"$or": [{"year": 1}, {"open": true}]}`: true, `{"$or": [{"year": 1}, {"open": false}]}`: false,
		`{"$not": {"year": 2020}}`: false, `{"year": {"$not": {"$gt": 2020}}}`: true,
		`{"name": {"$startsWith": "ta"}}`: true, `{"name": {"$startsWith": "x"}}`: false, `{"year": {"$startsWith": "2"}}`: false,
		`{"year": 2020, "name": "x"}`: false,
	}
	for text, want := range cases {
		f, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if f.Match(doc) != want {
			t.Errorf("%s: matched is %v", text, !want)
		}
	}
}

func mustPack(t testing.TB, metadata string) Document {
	t.Helper()
	d, err := Pack([]byte(metadata), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBadFiltersAreRefusedByName(t *testing.T) {
	deep := strings.Repeat(`{"$not":`, 9) + `{"a":1}` + strings.Repeat(`}`, 9)
	wide := `{"a": {"$in": [` + strings.TrimSuffix(strings.Repeat("1,", 1100), ",") + `]}}`
	cases := []struct{ text, want string }{
		{`[1]`, "must be a JSON object"},
		{`{"a": `, "is not JSON"},
		{`{"a": 1} x`, "something after its end"},
		{`{"a": null}`, "a: null is not a value"},
		{`{"a": {"$near": 1}}`, "a.$near: is no operator"},
		{`{"$xor": []}`, "$xor: is no operator here"},
		{`{"$and": []}`, "$and: must have at least one"},
		{`{"$and": {"a": 1}}`, "$and: must be an array"},
		{`{"$or": [{"a": 1}, {}]}`, "$or[1]: must not be empty"},
		{`{"a": {}}`, "a: must have at least one operator"},
		{`{"a": [1]}`, "a: must be a string, a number or a boolean"},
		{`{"a": {"$in": []}}`, "a.$in: must have at least one"},
		{`{"a": {"$in": [[1]]}}`, "a.$in: must be a string"},
		{`{"a": {"$gt": true}}`, "a.$gt: needs a number or a string"},
		{`{"a": {"$exists": 1}}`, "a.$exists: needs true or false"},
		{`{"a": {"$startsWith": 1}}`, "a.$startsWith: needs a string"},
		{`{"a": 1, "a": 2}`, "a: is named twice"},
		{`{"a": 1e999}`, "a: number is out of range"},
		{`{"": 1}`, "a key is empty"},
		{deep, "nested deeper than 8"},
		{wide, "more than 1024 conditions"},
		{`{"a": "` + strings.Repeat("x", FilterBytesMax) + `"}`, "more than 65536"},
	}
	for _, c := range cases {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestBadMetadataIsRefusedByName(t *testing.T) {
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d": 1`, i)
	}
	cases := []struct{ text, want string }{
		{`[]`, "must be a JSON object"},
		{`{"a": null}`, "a: null"},
		{`{"a": {"b": 1}}`, "a: must be a string"},
		{`{"a": [1, null]}`, "a: null"},
		{`{"a": [[1]]}`, "a: must be a string"},
		{`{"a": 1, "a": 1}`, "a: is named twice"},
		{`{` + strings.Join(many, ",") + `}`, "51 keys, more than 50"},
		{`{"a": "` + strings.Repeat("x", 2048) + `"}`, "filtered on, more than 2048"},
		{`{"a": "` + strings.Repeat("x", 41000) + `"}`, "more than 40960"},
	}
	for _, c := range cases {
		_, err := Pack([]byte(c.text), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := Pack([]byte(`{"a": "`+strings.Repeat("x", 4000)+`"}`), func(string) bool { return false }); err != nil {
		t.Errorf("a long value that is not filterable: %v", err)
	}
}

func TestDocumentFormat(t *testing.T) {
	d := mustPack(t, `{"y":2,"t":["a",true]}`)
	want := "01" + "02" + // version 1, two fields
		"01" + "79" + "02" + "02" + "0000000000000040" + // "y", one value: number 2
		"01" + "74" + "05" + "01" + "01" + "61" + "04" // "t", array of two: string "a", true
	if got := hex.EncodeToString(d); got != want {
		t.Errorf("document is\n%s, want\n%s", got, want)
	}
}

// The naive evaluator: plain maps as encoding/json makes them.

func naive(filter any, doc map[string]any) bool {
	for name, want := range filter.(map[string]any) {
		if !naiveMember(name, want, doc) {
			return false
		}
	}
	return true
}

func naiveMember(name string, want any, doc map[string]any) bool {
	switch name {
	case "$and":
		for _, f := range want.([]any) {
			if !naive(f, doc) {
				return false
			}
		}
		return true
	case "$or":
		for _, f := range want.([]any) {
			if naive(f, doc) {
				return true
			}
		}
		return false
	case "$not":
		return !naive(want, doc)
	}
	ops, isOps := want.(map[string]any)
	if !isOps {
		ops = map[string]any{"$eq": want}
	}
	for op, arg := range ops {
		if !naiveOp(op, arg, doc, name) {
			return false
		}
	}
	return true
}

func naiveOp(op string, arg any, doc map[string]any, name string) bool {
	have, present := doc[name]
	list, isList := have.([]any)
	if present && !isList {
		list = []any{have}
	}
	anyOf := func(f func(x any) bool) bool {
		for _, x := range list {
			if f(x) {
				return true
			}
		}
		return false
	}
	switch op {
	case "$eq":
		return anyOf(func(x any) bool { return reflect.DeepEqual(x, arg) })
	case "$ne":
		return !naiveOp("$eq", arg, doc, name)
	case "$in":
		for _, a := range arg.([]any) {
			if naiveOp("$eq", a, doc, name) {
				return true
			}
		}
		return false
	case "$nin":
		return !naiveOp("$in", arg, doc, name)
	case "$exists":
		return present == arg.(bool)
	case "$startsWith":
		return anyOf(func(x any) bool { s, ok := x.(string); return ok && strings.HasPrefix(s, arg.(string)) })
	case "$not":
		return !naiveMember(name, arg, doc)
	}
	return anyOf(func(x any) bool {
		less, equal, ok := naiveOrder(x, arg)
		return ok && (op == "$lt" && less || op == "$lte" && (less || equal) || op == "$gt" && !less && !equal || op == "$gte" && !less)
	})
}

func naiveOrder(a, b any) (less, equal, ok bool) {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return x < y, x == y, ok
	case string:
		y, ok := b.(string)
		return x < y, x == y, ok
	}
	return false, false, false
}

func TestFiltersAgreeWithTheNaiveEvaluator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := map[string]any{}
		for _, name := range []string{"a", "b", "c"} {
			switch rapid.IntRange(0, 3).Draw(t, "shape") {
			case 1, 2:
				doc[name] = drawScalar(t)
			case 3:
				doc[name] = drawList(t, 0)
			}
		}
		filter := drawFilter(t, 3)
		rawDoc, _ := json.Marshal(doc)
		rawFilter, _ := json.Marshal(filter)
		f, err := Parse(rawFilter)
		if err != nil {
			t.Fatalf("%s: %v", rawFilter, err)
		}
		d, err := Pack(rawDoc, nil)
		if err != nil {
			t.Fatalf("%s: %v", rawDoc, err)
		}
		if got, want := f.Match(d), naive(any(filter), doc); got != want {
			t.Fatalf("%s on %s: %v, want %v", rawFilter, rawDoc, got, want)
		}
	})
}

func drawScalar(t *rapid.T) any {
	return rapid.SampledFrom([]any{"x", "xy", "y", "", 1.0, 2.0, -3.5, true, false}).Draw(t, "scalar")
}

func drawList(t *rapid.T, least int) []any {
	list := []any{}
	for range rapid.IntRange(least, 3).Draw(t, "elements") {
		list = append(list, drawScalar(t))
	}
	return list
}

func drawFilter(t *rapid.T, depth int) map[string]any {
	f := map[string]any{}
	for range rapid.IntRange(1, 2).Draw(t, "members") {
		kinds := 2
		if depth > 0 {
			kinds = 5
		}
		switch rapid.IntRange(1, kinds).Draw(t, "kind") {
		case 1, 2:
			f[rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "field")] = drawOps(t, depth)
		case 3:
			f["$and"] = []any{drawFilter(t, depth-1), drawFilter(t, depth-1)}
		case 4:
			f["$or"] = []any{drawFilter(t, depth-1), drawFilter(t, depth-1)}
		case 5:
			f["$not"] = drawFilter(t, depth-1)
		}
	}
	return f
}

func drawOps(t *rapid.T, depth int) any {
	op := rapid.SampledFrom([]string{"", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$startsWith", "$not"}).Draw(t, "op")
	switch op {
	case "":
		return drawScalar(t)
	case "$in", "$nin":
		return map[string]any{op: drawList(t, 1)}
	case "$exists":
		return map[string]any{op: rapid.Bool().Draw(t, "exists")}
	case "$startsWith":
		return map[string]any{op: rapid.SampledFrom([]string{"", "x", "z"}).Draw(t, "prefix")}
	case "$gt", "$gte", "$lt", "$lte":
		return map[string]any{op: rapid.SampledFrom([]any{"x", "", 1.0, 0.5}).Draw(t, "bound")}
	case "$not":
		if depth > 0 {
			if inner, ok := drawOps(t, depth-1).(map[string]any); ok {
				return map[string]any{op: inner}
			}
		}
		return map[string]any{"$eq": drawScalar(t)}
	}
	return map[string]any{op: drawScalar(t)}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":{"$gt":1}}`, `{"$or":[{"a":1},{"b":{"$in":["x"]}}]}`, `{"$not":{"a":true}}`, `{"a":`, "{\"\xff\":1}"} {
		f.Add([]byte(s), []byte(`{"a":[1,"x"],"b":"y"}`))
	}
	f.Fuzz(func(t *testing.T, filter, metadata []byte) {
		d, err := Pack(metadata, nil)
		if err == nil && d.Check() != nil {
			t.Fatalf("%q packs to bytes that do not check", metadata)
		}
		if p, err := Parse(filter); err == nil {
			p.Match(d)
		}
	})
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(mustPack(f, `{"y":2,"t":["a",true]}`)))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	p, _ := Parse([]byte(`{"$or":[{"y":{"$gt":1}},{"t":{"$in":["a"]}},{"z":{"$exists":true}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p.Match(Document(data))
		if Document(data).Check() == nil && len(data) > 0 && data[0] != documentVersion {
			t.Fatal("an unknown version checks")
		}
	})
}
