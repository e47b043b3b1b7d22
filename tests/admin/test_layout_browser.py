"""The pages inside the shop's layout in a real Chromium: neither stylesheet touches the other's part, htmx works on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.admin.conftest import PREFIX
from tests.admin.test_accessibility import assert_accessible
from tests.admin.test_host_layout import MakeShop, shop
from tests.servers.browser import OpenPage

__all__ = ["shop"]

Serve = Callable[[Flask], str]
PATHS = ("/sign-in?page_number=2", "/sign-in/13", "/email/4?view=text", "/sms/clean", "/retention")

#: Sizes follow from what stands around, so they are left out; tokens are there to be seen.
READ_STYLES = """([selector, sheet]) => {
  const elements = [...document.querySelectorAll(selector)];
  const sized = /^--|width|height|size|origin|inset|^(top|left|right|bottom)$|grid-template|transform-origin/;
  const read = () => elements.map(element => ["", "::before", "::after"].map(pseudo => {
    const style = getComputedStyle(element, pseudo || undefined);
    return [...style].filter(name => !sized.test(name)).map(name => `${name}: ${style.getPropertyValue(name)}`);
  }));
  const before = read();
  for (const one of document.styleSheets) if (one.href.includes(sheet)) one.disabled = true;
  const after = read();
  const changed = [];
  before.forEach((styles, at) => styles.forEach((lines, pseudo) => lines.forEach((line, number) => {
    if (line !== after[at][pseudo][number]) changed.push(
      `${elements[at].tagName}.${elements[at].className}: ${line} | ${after[at][pseudo][number]}`);
  })));
  return [elements.length, changed];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_our_stylesheet_leaves_the_layout_as_it_is(
    shop: MakeShop, serve: Serve, open_page: OpenPage, scheme: Any
) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(f"{serve(shop())}{PREFIX}/sign-in")
    count, changed = page.evaluate(READ_STYLES, [":not(.melody-logs, .melody-logs *)", "melody-logs.css"])
    assert count > 15
    assert changed == []


@pytest.mark.parametrize("path", PATHS)
def test_the_layouts_stylesheet_leaves_our_part_as_it_is(shop: MakeShop, serve: Serve, page: Page, path: str) -> None:
    page.goto(f"{serve(shop())}{PREFIX}{path}")
    count, changed = page.evaluate(READ_STYLES, [".melody-logs, .melody-logs *", "shop.css"])
    assert count > 30
    # What the layout says of colour schemes holds for us too, and an automatic margin is the space that is left.
    expected = re.compile(r".*: color-scheme: |.*ml-(count|more).*: margin-")
    assert [line for line in changed if not expected.match(line)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_pages_in_the_layout_are_accessible_and_no_wider_than_it(
    shop: MakeShop, serve: Serve, open_page: OpenPage, scheme: Any, width: int
) -> None:
    base = serve(shop()) + PREFIX
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 740})
    for path in PATHS:
        page.goto(base + path)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_our_part_follows_the_colour_scheme_of_the_layout(shop: MakeShop, serve: Serve, open_page: OpenPage) -> None:
    """A layout that is light only stays light all over on a dark desktop."""
    page = open_page(color_scheme="dark")
    page.goto(f"{serve(shop())}{PREFIX}/sign-in")
    read = "getComputedStyle(document.querySelector('.melody-logs')).backgroundColor"
    assert page.evaluate(read) == "rgb(20, 23, 27)"
    page.evaluate("document.documentElement.style.colorScheme = 'light'")
    assert page.evaluate(read) == "rgb(255, 255, 255)"


def test_colours_of_the_host_win(shop: MakeShop, serve: Serve, page: Page) -> None:
    app = shop(MELODY_LOGS_STYLESHEET="/brand.css")
    brand = ":root { --ml-accent: rgb(1, 2, 3) } .melody-logs { --ml-surface: rgb(250, 251, 252) }"
    app.add_url_rule("/brand.css", "brand", lambda: (brand, {"Content-Type": "text/css"}))
    page.goto(f"{serve(app)}{PREFIX}/sign-in")
    expect(page.get_by_role("link", name="Older", exact=True)).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.locator(".melody-logs")).to_have_css("background-color", "rgb(250, 251, 252)")


@pytest.mark.parametrize("layout", ["shop/layout.html", "shop/with_htmx.html"])
def test_paging_and_the_dialog_work_in_the_layout(shop: MakeShop, serve: Serve, page: Page, layout: str) -> None:
    """Each click is one request, also beside an htmx of the host's."""
    page.goto(f"{serve(shop(layout))}{PREFIX}/sign-in")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("link", name="Older", exact=True).click()
    expect(page.get_by_text("11\N{EN DASH}20 of 49")).to_be_visible()
    page.get_by_role("link", name="Clean older than").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert len(asked) == 2
    page.go_back()
    expect(page.get_by_text("1\N{EN DASH}10 of 49")).to_be_visible()
    expect(page.locator(".who")).to_have_text("Ann Lee")
    expect(page.locator(".melody-logs")).to_have_count(1)
    page.get_by_role("link", name="Older", exact=True).click()
    expect(page.get_by_text("11\N{EN DASH}20 of 49")).to_be_visible()
    assert page.evaluate("window.neverReloaded") is True


def test_the_htmx_of_the_host_works_on(shop: MakeShop, serve: Serve, page: Page) -> None:
    app = shop("shop/with_htmx.html")
    counts = iter(range(1, 10))
    app.add_url_rule("/count", "count", lambda: str(next(counts)))
    page.goto(f"{serve(app)}{PREFIX}/sign-in")
    for number in (1, 2):
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#body")).to_have_text(str(number))
    assert page.evaluate("typeof window.htmx.ajax") == "function"


def test_the_layout_alone_has_no_htmx_of_ours(shop: MakeShop, serve: Serve, page: Page) -> None:
    page.goto(f"{serve(shop())}{PREFIX}/sign-in")
    assert page.evaluate("typeof window.htmx") == "undefined"


def test_clean_works_in_the_layout_without_javascript(shop: MakeShop, serve: Serve, open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{serve(shop())}{PREFIX}/sign-in")
    page.get_by_role("link", name="Clean older than").click()
    page.get_by_role("button", name="Delete 12 sign-ins").click()
    expect(page.get_by_role("heading", name="Deleted 12 sign-ins")).to_be_visible()
    expect(page).to_have_title(re.compile(r"Deleted 12 sign-ins · Logs · Example Shop"))


def test_a_name_leads_to_the_hosts_page_and_its_row_to_ours(shop: MakeShop, serve: Serve, page: Page) -> None:
    app = shop()
    app.extensions["melody_logs"].seams.user_label = lambda ids: {42: ("Ann Lee", "/people/42")}
    app.add_url_rule("/people/42", "person", lambda: '<link rel="icon" href="data:,"><p>This is Ann')
    base = serve(app)
    page.goto(f"{base}{PREFIX}/sign-in")
    name = page.get_by_role("link", name="Ann Lee").first
    row = page.locator("tr", has=name).first
    name.click()
    expect(page).to_have_url(f"{base}/people/42")
    page.go_back()
    row.locator(".ml-whole-row").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Sign-in"))
