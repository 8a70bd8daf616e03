// Package web is the console: built assets, embedded in the binary at its own
// version, so that it works with no network. Its nouns are Page, Asset and
// Policy.
//
// `make console` builds the assets into dist/app, which git ignores; a binary
// built without them shows dist/placeholder.html, which says how to build it.
// The handler keeps nothing and may be used by many goroutines at once.
// Sessions and calls belong to package query.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// policy lets the console run only its own code: nothing inline, nothing foreign.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handler serves the console below prefix, such as "/_/console/".
func Handler(prefix string) http.Handler {
	page, err := dist.ReadFile("dist/app/index.html")
	if err != nil {
		page, _ = dist.ReadFile("dist/placeholder.html") // committed: always there
	}
	assets, _ := fs.Sub(dist, "dist/app")
	files := http.StripPrefix(prefix, http.FileServerFS(assets))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "the console answers GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		if strings.HasPrefix(r.URL.Path, prefix+"assets/") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable") // names carry a hash
			files.ServeHTTP(w, r)
			return
		}
		if r.URL.Path != prefix {
			http.NotFound(w, r)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(page) // the browser has gone: nobody is left to tell
	})
}
