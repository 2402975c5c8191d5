// Package tap writes test points in the Test Anything Protocol.
//
// The validation programs of the OCI runtime-tools report by a TAP package that Debian does not have. This is one with the
// functions that they call, for the set-up to put where they import it from. https://testanything.org/tap-specification.html
package tap

import (
	"encoding/json"
	"fmt"
	"strings"
)

// T numbers the points of one program. Views of one stream share the number.
type T struct {
	last *int
	mark string
}

// New begins at point 1, on standard output.
func New() *T {
	return &T{last: new(int)}
}

// Todo is a view whose points need not pass.
func (t *T) Todo() *T {
	return &T{last: t.last, mark: " # TODO"}
}

// Header writes the version, and the plan if it is known by now.
func (t *T) Header(planned int) {
	fmt.Println("TAP version 13")
	if planned > 0 {
		fmt.Printf("1..%d\n", planned)
	}
}

// AutoPlan writes the plan afterwards: as many as there were.
func (t *T) AutoPlan() {
	fmt.Printf("1..%d\n", *t.last)
}

// Ok writes a point that passed or not.
func (t *T) Ok(passed bool, about string) {
	verdict := "not ok"
	if passed {
		verdict = "ok"
	}
	t.point(verdict, "- "+about)
}

// Pass writes one that passed, Fail one that did not.
func (t *T) Pass(about string) { t.point("ok", "- "+about) }
func (t *T) Fail(about string) { t.point("not ok", "- "+about) }

// Skip writes points that nobody tried.
func (t *T) Skip(count int, why string) {
	for ; count > 0; count-- {
		t.point("ok", "# SKIP "+why)
	}
}

// Diagnostic and Diagnosticf write comments, YAML what belongs to the last point (JSON is YAML too).
func (t *T) Diagnostic(comment string) {
	for _, line := range strings.Split(strings.TrimSpace(comment), "\n") {
		fmt.Println("#", line)
	}
}

func (t *T) Diagnosticf(format string, values ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, values...))
}

func (t *T) YAML(value interface{}) error {
	block, err := json.MarshalIndent(value, "  ", "  ")
	if err == nil {
		fmt.Printf("  ---\n  %s\n  ...\n", block)
	}
	return err
}

func (t *T) point(verdict, about string) {
	*t.last++
	fmt.Printf("%s %d%s %s\n", verdict, *t.last, t.mark, strings.ReplaceAll(about, "\n", " "))
}
