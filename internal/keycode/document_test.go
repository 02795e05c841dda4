package keycode_test

import (
	"os"
	"strings"
	"testing"

	"calkeeper/internal/keycode"
)

// The examples of docs/codes.md are the golden values, so the document cannot fall behind.
func TestDocumentHoldsTheGoldenValues(t *testing.T) {
	document, err := os.ReadFile("../../docs/codes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{
		keycode.Groups(goldenTarget), keycode.Groups(goldenInstall), keycode.Groups(goldenProductID),
		goldenTarget, goldenSource, goldenImport, goldenConfirmation, goldenRetail, refAlphabet,
	} {
		if !strings.Contains(string(document), value) {
			t.Errorf("docs/codes.md does not hold %s", value)
		}
	}
}
