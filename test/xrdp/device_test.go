//go:build linux

package xrdp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"calkeeper/test/machine"
)

// device is a client device: an address and a screen.
type device struct {
	t       *testing.T
	address string
	display string
	screen  string // file that has the picture, as xwd writes it
	client  *machine.Daemon
}

const screenWidth, screenHeight = 640, 480

// newDevice returns the device that has the address 192.0.2.NUMBER: 11 and 12 there are.
func newDevice(t *testing.T, number int) *device {
	t.Helper()
	d := &device{t: t, address: fmt.Sprintf("192.0.2.%d", number), display: fmt.Sprintf(":%d", 80+number)}
	dir := t.TempDir()
	d.screen = filepath.Join(dir, "Xvfb_screen0")
	machine.Start(t, nil, "Xvfb", d.display, "-nolisten", "tcp", "-nocursor", "-screen", "0", fmt.Sprintf("%dx%dx24", screenWidth, screenHeight), "-fbdir", dir)
	machine.Await(t, "the screen of a device is there", func() bool { return exists("/tmp/.X11-unix/X" + d.display[1:]) })
	return d
}

// connect begins to log a user on. A connection that there is, or a message, is closed first.
func (d *device) connect(user string) {
	d.t.Helper()
	if d.client != nil {
		d.disconnect()
	}
	// Without /network the picture is black now and then.
	d.client = machine.Start(d.t, []string{"DISPLAY=" + d.display, "HOME=" + d.t.TempDir()}, "xfreerdp", "/v:"+d.address, "/u:"+user, "/p:"+password,
		"/cert:ignore", "/network:lan", "/bpp:24", fmt.Sprintf("/size:%dx%d", screenWidth, screenHeight), "/client-hostname:DEV-"+d.display[1:])
}

// disconnect cuts the connection; the session lives on.
func (d *device) disconnect() {
	d.t.Helper()
	if err := d.client.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Fatal(err)
	}
	d.ended()
}

// ended waits until the connection has ended, and nothing is left of it on the screen.
func (d *device) ended() {
	d.t.Helper()
	d.client.AwaitEnd(d.t)
	d.await("the screen of the device is empty", func(picture *image.RGBA) bool { return len(count(picture)) == 1 })
}

// Colors: of the desktop (testdata/xsession) and of xrdp's windows (Debian's xrdp.ini).
var (
	desktopColor = color.RGBA{0x1d, 0x5c, 0x3f, 0xff}
	titleColor   = color.RGBA{0x00, 0x9c, 0xb5, 0xff}
	windowColor  = color.RGBA{0xde, 0xde, 0xde, 0xff}
)

// awaitDesktop waits until the device shows a desktop, or a message of xrdp instead. It tells whether it is the desktop.
func (d *device) awaitDesktop() (desktop bool) {
	d.t.Helper()
	d.await("the device shows a desktop", func(picture *image.RGBA) bool {
		// A window of text that covers the screen.
		colors := count(picture)
		desktop = colors[desktopColor] > screenWidth*screenHeight*9/10 && len(colors) > 1
		return desktop || textLines(window(picture)) >= messageLines
	})
	return desktop
}

// awaitMessage waits until the device shows the message of xrdp that ends a logon.
func (d *device) awaitMessage() {
	d.t.Helper()
	d.await("the device shows a message", func(picture *image.RGBA) bool { return textLines(window(picture)) >= messageLines })
}

// messageLines is how many lines xrdp's window has when a logon is refused: the last is the reply to what the others say.
const messageLines = 7

// await waits until the device shows a picture.
func (d *device) await(what string, ok func(*image.RGBA) bool) {
	d.t.Helper()
	var seen []byte
	machine.Await(d.t, what, func() bool {
		dump, err := os.ReadFile(d.screen)
		if err != nil {
			d.t.Fatal(err)
		}
		if bytes.Equal(dump, seen) {
			return false
		}
		seen = dump
		return ok(d.decode(dump))
	})
}

// window cuts xrdp's window out of the picture. It is empty if there is none.
func window(picture *image.RGBA) *image.RGBA {
	var area image.Rectangle
	for y := range screenHeight {
		first, last := -1, 0
		for x := range screenWidth {
			if c := picture.RGBAAt(x, y); c == windowColor || c == titleColor {
				if first < 0 {
					first = x
				}
				last = x
			}
		}
		if first >= 0 {
			area = area.Union(image.Rect(first, y, last+1, y+1))
		}
	}
	cut, ok := picture.SubImage(area).(*image.RGBA)
	if !ok || count(cut)[titleColor] < 1000 {
		return &image.RGBA{}
	}
	return cut
}

// textLines counts the lines of dark text on the window's color, which are apart from each other.
func textLines(window *image.RGBA) int {
	lines, inText := 0, false
	for y := window.Rect.Min.Y; y < window.Rect.Max.Y; y++ {
		dark := 0
		// Not the frame, and not the button, which is on the right.
		for x := window.Rect.Min.X + 5; x < window.Rect.Min.X+window.Rect.Dx()/2; x++ {
			if c := window.RGBAAt(x, y); c.R < 0x60 && c.G < 0x60 && c.B < 0x60 {
				dark++
			}
		}
		if dark > 0 && dark < window.Rect.Dx()/4 && !inText {
			lines++
		}
		inText = dark > 0
	}
	return lines
}

// same tells whether two pictures are, wherever they are cut from.
func same(a *image.RGBA, b image.Image) bool {
	if a.Rect.Size() != b.Bounds().Size() {
		return false
	}
	shift := b.Bounds().Min.Sub(a.Rect.Min)
	for y := a.Rect.Min.Y; y < a.Rect.Max.Y; y++ {
		for x := a.Rect.Min.X; x < a.Rect.Max.X; x++ {
			if a.RGBAAt(x, y) != color.RGBAModel.Convert(b.At(x+shift.X, y+shift.Y)) {
				return false
			}
		}
	}
	return true
}

// count returns how many pixels there are of each color.
func count(picture *image.RGBA) map[color.RGBA]int {
	colors := map[color.RGBA]int{}
	var last color.RGBA
	run := 0 // of pixels of that color: neighbors are alike
	for y := picture.Rect.Min.Y; y < picture.Rect.Max.Y; y++ {
		for x := picture.Rect.Min.X; x < picture.Rect.Max.X; x++ {
			if c := picture.RGBAAt(x, y); c != last {
				colors[last] += run
				last, run = c, 0
			}
			run++
		}
	}
	colors[last] += run
	delete(colors, color.RGBA{}) // what there was before the first
	return colors
}

// decode returns what the screen shows. The file is an X window dump (X11/XWDFile.h): a header of big-endian words, a table of
// colors, and the pixels.
func (d *device) decode(dump []byte) *image.RGBA {
	d.t.Helper()
	const words, colorSize, pixelSize = 25, 12, 4
	if len(dump) < words*4 {
		d.t.Fatalf("%s has %d bytes: that is no picture", d.screen, len(dump))
	}
	word := func(i int) int { return int(binary.BigEndian.Uint32(dump[4*i:])) }
	headerSize, width, height, bitsPerPixel, lineSize, colors := word(0), word(4), word(5), word(11), word(12), word(19)
	begin := headerSize + colors*colorSize
	if width != screenWidth || height != screenHeight || bitsPerPixel != 8*pixelSize || len(dump) < begin+height*lineSize {
		d.t.Fatalf("%s has %d bytes for %d x %d pixels of %d bits", d.screen, len(dump), width, height, bitsPerPixel)
	}
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		line := dump[begin+y*lineSize:][:width*pixelSize]
		for x := range width {
			pixel := line[x*pixelSize:]
			picture.SetRGBA(x, y, color.RGBA{pixel[2], pixel[1], pixel[0], 0xff}) // blue, green, red: this machine's order
		}
	}
	return picture
}
