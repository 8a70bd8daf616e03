package authority

import (
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects"
)

const keptGolden = `{"format":1,"policy":"{\"Statement\":[]}"}`

func TestKeptPoliciesStayAsTheyAre(t *testing.T) {
	if key := string(keptKey("docs")); key != "b/docs/c/policy" {
		t.Errorf("key %q", key)
	}
	got, err := decodeKept(objects.EncodeValue(nil, []byte(keptGolden)))
	if err != nil || got != `{"Statement":[]}` {
		t.Errorf("decodes to %q, %v", got, err)
	}
	value, err := encodeKept(got)
	if err != nil {
		t.Fatal(err)
	}
	if _, payload, err := objects.DecodeValue(value); err != nil || string(payload) != keptGolden {
		t.Errorf("encoded as %s, %v", payload, err)
	}
	for _, bad := range []string{``, `{}`, `{"format":2,"policy":"x"}`, `[]`, strings.Repeat(" ", keptBytesMax+1)} {
		if _, err := decodeKept(objects.EncodeValue(nil, []byte(bad))); err == nil {
			t.Errorf("%.40q decodes", bad)
		}
	}
}

func FuzzKeptPolicy(f *testing.F) {
	f.Add(objects.EncodeValue(nil, []byte(keptGolden)))
	f.Fuzz(func(t *testing.T, value []byte) {
		text, err := decodeKept(value)
		if err != nil {
			return
		}
		again, err := encodeKept(text)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeKept(again); err != nil || back != text {
			t.Errorf("%q became %q, %v", text, back, err)
		}
	})
}
