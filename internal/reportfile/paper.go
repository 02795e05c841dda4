package reportfile

import (
	"strconv"
	"strings"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// The page, DIN A4, in millimetres: its margins, and where what is printed ends.
const (
	pageWidth  = 210.0
	pageHeight = 297.0
	left       = 16.0
	top        = 16.0
	right      = pageWidth - left
	bottom     = pageHeight - 20
	width      = right - left
)

// color is red, green and blue.
type color [3]int

// Colours that stay apart for those who do not see all, and in print without colour.
var (
	white     = color{0xFF, 0xFF, 0xFF}
	black     = color{0x22, 0x22, 0x22}
	grey      = color{0x70, 0x70, 0x70}
	pale      = color{0xD9, 0xD9, 0xD9}
	shade     = color{0xF0, 0xF3, 0xF7}
	darkBlue  = color{0x1F, 0x4E, 0x79}
	lightBlue = color{0xA9, 0xC4, 0xE0}
	vermilion = color{0xD5, 0x5E, 0x00}
	purple    = color{0x7B, 0x4F, 0x96}
)

// style is how text looks; size is in points.
type style struct {
	size  float64
	bold  bool
	color color
}

var (
	titleStyle   = style{20, true, darkBlue}
	headingStyle = style{12, true, darkBlue}
	labelStyle   = style{8.5, false, grey}
	textStyle    = style{8.5, false, black}
	headStyle    = style{8, true, darkBlue}
	cellStyle    = style{8, false, black}
	alarmStyle   = style{8, true, vermilion}
	smallStyle   = style{7, false, grey}
)

// align says where text stands in its width.
type align int

const (
	toLeft align = iota
	toRight
	centred
)

const (
	family   = "Go"
	unknown  = '□' // stands for what the font does not have
	ellipsis = "…"
)

// paper is a PDF in the making. Everything is put at a place: nothing breaks lines or pages by itself.
type paper struct {
	*fpdf.Fpdf
	font   *sfnt.Font
	buffer sfnt.Buffer
	footer string
	y      float64 // where the next block begins
}

// newPaper returns a PDF without pages. Its fonts have the characters of Europe's languages in Latin, Greek and Cyrillic.
func newPaper(footer string) (*paper, error) {
	font, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	p := &paper{Fpdf: fpdf.New("P", "mm", "A4", ""), font: font, footer: footer}
	p.SetAutoPageBreak(false, 0)
	p.AddUTF8FontFromBytes(family, "", goregular.TTF)
	p.AddUTF8FontFromBytes(family, "B", gobold.TTF)
	p.AliasNbPages("")
	p.SetCatalogSort(true)
	return p, p.Error()
}

// newPage begins a page with its footer.
func (p *paper) newPage() {
	p.AddPage()
	p.rule(pageHeight-14, pale)
	p.put(left, pageHeight-10, smallStyle, "Page "+strconv.Itoa(p.PageNo())+" of {nb}") // the number of pages, when it is known
	p.write(left+30, pageHeight-10, width-30, toRight, smallStyle, p.footer)
	p.y = top
}

// room begins a new page if less than height is left of this one.
func (p *paper) room(height float64) {
	if p.y+height > bottom {
		p.newPage()
	}
}

// heading writes a heading at the place of the next block.
func (p *paper) heading(text string) {
	p.write(left, p.y+4.5, width, toLeft, headingStyle, text)
	p.rule(p.y+6.5, pale)
	p.y += 9.5
}

// note writes a line of text at the place of the next block.
func (p *paper) note(text string) {
	p.write(left, p.y+3.5, width, toLeft, textStyle, text)
	p.y += 7
}

// rule draws a line across the page.
func (p *paper) rule(y float64, c color) {
	p.SetDrawColor(c[0], c[1], c[2])
	p.SetLineWidth(0.2)
	p.Line(left, y, right, y)
}

// fill draws a rectangle.
func (p *paper) fill(x, y, w, h float64, c color) {
	p.SetFillColor(c[0], c[1], c[2])
	p.Rect(x, y, w, h, "F")
}

// write writes text that may come from outside, on the base line y: what is wider than w ends with an ellipsis.
func (p *paper) write(x, y, w float64, a align, s style, text string) {
	text = p.fit(s, p.printable(text), w)
	switch a {
	case toRight:
		x += w - p.GetStringWidth(text)
	case centred:
		x += (w - p.GetStringWidth(text)) / 2
	}
	p.put(x, y, s, text)
}

// put writes text that the font has.
func (p *paper) put(x, y float64, s style, text string) {
	p.set(s)
	p.SetTextColor(s.color[0], s.color[1], s.color[2])
	p.Text(x, y, text)
}

func (p *paper) set(s style) {
	weight := ""
	if s.bold {
		weight = "B"
	}
	p.SetFont(family, weight, s.size)
}

// fit cuts text to a width.
func (p *paper) fit(s style, text string, w float64) string {
	p.set(s)
	if p.GetStringWidth(text) <= w {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && p.GetStringWidth(string(runes)+ellipsis) > w {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + ellipsis
}

// maxPrintable is how many characters of a text can matter: no line has room for more.
const maxPrintable = 400

// printable returns text in characters that the fonts have.
func (p *paper) printable(text string) string {
	var b strings.Builder
	count := 0
	for _, r := range text {
		if count++; count > maxPrintable {
			break
		}
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			r = ' '
		case !p.has(r):
			r = unknown
		}
		b.WriteRune(r)
	}
	return b.String()
}

// has tells whether the font has a character, among the first 65,536, which are all that the library can write.
func (p *paper) has(r rune) bool {
	if r > 0xFFFF {
		return false
	}
	glyph, err := p.font.GlyphIndex(&p.buffer, r)
	return err == nil && glyph != 0
}

// grouped writes a number with commas.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
