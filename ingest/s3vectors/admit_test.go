package s3vectors

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/host"
)

func TestOverloadIsRefusedBeforeTheBodyIsRead(t *testing.T) {
	gate := admission.New(admission.Options{Clock: host.Real(nil).Clock, LimitLeast: 1, LimitFirst: 1, LimitMost: 1, Wait: 10 * time.Millisecond})
	holder, err := gate.Admit(context.Background(), admission.Ask{Class: admission.Reads})
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{o: Options{Host: host.Real(nil), Gate: gate, Served: func(string, string, int, time.Duration) {}}}
	body := &watched{Reader: strings.NewReader("{}")}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest("POST", "/QueryVectors", body))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("x-amzn-ErrorType") != tooMany || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if body.read {
		t.Error("the body was read")
	}
	holder.Done()
	if s := gate.Status(); s.Open != 0 || s.Classes[admission.Reads].Refused != 1 {
		t.Errorf("%+v", s)
	}
}

type watched struct {
	*strings.Reader
	read bool
}

func (w *watched) Read(p []byte) (int, error) { w.read = true; return w.Reader.Read(p) }

func TestOperationsHaveTheirClass(t *testing.T) {
	for name, want := range map[string]admission.Class{
		"QueryVectors": admission.Reads, "GetVectors": admission.Reads, "ListTagsForResource": admission.Reads,
		"PutVectors": admission.Writes, "DeleteVectors": admission.Writes, "CreateIndex": admission.Writes, "": admission.Writes,
	} {
		if got := class(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
