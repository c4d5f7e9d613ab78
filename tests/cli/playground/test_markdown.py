"""The page's Markdown renderer and its highlighter, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from bedrock_stream.testing import Emulator
from tests.support.browser import launched
from tests.support.exhaustive import exhaustive
from tests.support.playground_page import opened_page

# One event loop and one browser serve all tests of this module; each test has a page and a server of its own.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),  # a browser on a busy machine
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with opened_page(browser, Emulator()) as page:
        yield page


MARKDOWN = {
    "a *b* **c** `d*e*`": "<p>a <em>b</em> <strong>c</strong> <code>d*e*</code></p>",
    "***f***": "<p><strong><em>f</em></strong></p>",
    "2 * 3 * 4 and snake_case_name": "<p>2 * 3 * 4 and snake_case_name</p>",
    "**not closed and `neither": "<p>**not closed and `neither</p>",
    r"\*plain\* \<b\>": "<p>*plain* &lt;b&gt;</p>",
    "# A #\n## B\ntext": "<h1>A</h1><h2>B</h2><p>text</p>",
    "- a\n- b\n\ntext": "<ul><li><span>a</span></li><li><span>b</span></li></ul><p>text</p>",
    "3. a\n   - b\n4. c": (
        '<ol start="3"><li><span>a</span><ul><li><span>b</span></li></ul></li><li><span>c</span></li></ol>'
    ),
    "> a\n> b": "<blockquote><p>a\nb</p></blockquote>",
    "---": "<hr>",
    " * * * ": "<hr>",
    "**": "<p>**</p>",
    "- - a": "<ul><li><ul><li><span>a</span></li></ul></li></ul>",
    "# C ## #": "<h1>C ##</h1>",
    "#": "<p>#</p>",
    "~~~~ py\nx\n~~~\n~~~~\ny": (
        '<pre data-language="py" tabindex="0" role="group" aria-label="Code, py"><code>x\n~~~</code></pre><p>y</p>'
    ),
    "``a`b``": "<p><code>a`b</code></p>",
    "|a|b|\n|-|-|\n|1|": (
        '<div tabindex="0" role="group" aria-label="Table"><table><thead><tr><th>a</th><th>b</th></tr></thead>'
        "<tbody><tr><td>1</td><td></td></tr></tbody></table></div>"
    ),
    "```\n<i>\n\n# x": "<i>\n\n# x",
    "[a](data:text/html,x) [b](/x)": "<p>[a](data:text/html,x) [b](/x)</p>",
    "[c](HTTPS://e.org/)": '<p><a href="HTTPS://e.org/">c</a></p>',
    "see https://e.org/a.": '<p>see <a href="https://e.org/a">https://e.org/a</a>.</p>',
    '<a href="javascript:x">y</a>': '<p>&lt;a href="javascript:x"&gt;y&lt;/a&gt;</p>',
    "[x](https://u:p@[bad)": "<p>[x](https://u:p@[bad)</p>",
}


async def test_the_markdown_renderer(page: Page) -> None:
    drawn = await page.evaluate(
        """async (sources) => {
            const { Markdown } = await import("/page/markdown.js");
            return sources.map((source) => {
                // Rendering letter by letter, as in a stream, must give the same result as rendering at once.
                const [slow, fast] = [document.createElement("div"), document.createElement("div")];
                const markdown = new Markdown(slow);
                for (const letter of source) { markdown.source += letter; markdown.draw(); }
                const complete = new Markdown(fast);
                complete.source = source;
                complete.draw();
                if (slow.innerHTML !== fast.innerHTML) return "differs: " + slow.innerHTML;
                return fast.innerHTML.replace(/ (rel|target|class)="[^"]*"/g, "");
            });
        }""",
        list(MARKDOWN),
    )
    for (source, expected), rendered in zip(MARKDOWN.items(), drawn, strict=True):
        if source.startswith("```"):
            assert expected.replace("<", "&lt;").replace(">", "&gt;") in rendered
        else:
            assert rendered == expected


# Each is repeated to 50,000 characters: with time that grows with the square, or a stack with the depth, drawing fails.
UNITS = (
    "- ", "* ", "_ ", "-", "***", "#", "# #", "`", "` `` ", "`a ", "~", "**", "**a ", "__a ", "*a ", "_a ", "*_", "[",
    "[a](", "[a](<x", "http://", "\\", "> ", ">", "1. ", "- a\n", "- a\n\n\n", "#\n", "a\n\n", "|", "|-", "| |",
    "```\n", " ", "\n", "\u2028 ", "<b>",
)  # fmt: skip
STARTS = ("", "# ", "~~~ ", "|a|\n")


async def test_any_markdown_is_rendered_in_time_that_grows_with_its_length(page: Page) -> None:
    failures = await page.evaluate(
        """async ([starts, units, length]) => {
            const { Markdown } = await import("/page/markdown.js");
            const failures = [];
            for (const start of starts) for (const unit of units) for (const end of ["x", "`"]) {
                const markdown = new Markdown(document.createElement("div"));
                markdown.source = start + unit.repeat(length / unit.length) + end;
                try { markdown.draw(); } catch (error) { failures.push(`${start}${unit}: ${error}`); }
            }
            const table = new Markdown(document.createElement("div"));
            table.source = "|" + "a|".repeat(5000) + "\\n|" + "-|".repeat(5000) + "\\n" + "|x|\\n".repeat(5000);
            table.draw();
            const count = table.element.querySelectorAll("th, td").length;
            if (count !== 10_000) failures.push(`a table of ${count} cells`);
            return failures;
        }""",
        [STARTS, UNITS, exhaustive(whole=50_000, part=10_000)],
    )
    assert failures == []


CODE = {
    ("python", "if x == 'a': # no\n    y = 12"): ["keyword if", "string 'a'", "comment # no", "number 12"],
    ("py", 'f("""a\nb""")'): ['string """a\nb"""'],
    ("js", "const a = `b\n${c}`; // d\n/* e\nf"): [
        "keyword const",
        "string `b\n${c}`",
        "comment // d",
        "comment /* e\nf",
    ],
    ("json", '{"a": [1.5, true]}'): ['string "a"', "number 1.5", "keyword true"],
    ("sh", 'if a; then echo "b" # c'): ["keyword if", "keyword then", 'string "b"', "comment # c"],
    ("python", '"not closed\nx'): ['string "not closed'],
    ("unknown", "if x"): [],
    ("constructor", "if x"): [],
}


async def test_code_is_highlighted(page: Page) -> None:
    shown = await page.evaluate(
        """async (sources) => {
            const { highlight } = await import("/page/highlight.js");
            return sources.map(([language, source]) => {
                const code = document.createElement("code");
                code.append(...highlight(source, language));
                const spans = [...code.querySelectorAll("span")];
                const kind = (span) => span.className.replace("code-", "");
                return [code.textContent, spans.map((span) => `${kind(span)} ${span.textContent}`)];
            });
        }""",
        [list(key) for key in CODE],
    )
    assert shown == [[source, spans] for (_, source), spans in CODE.items()]


async def test_any_code_is_highlighted_as_it_is(page: Page) -> None:
    sources = [unit * (20_000 // len(unit)) for unit in (*UNITS, '"', "'", '"""', "/*", "//", "\\", '"\\', "0.", "a1 ")]
    changed = await page.evaluate(
        """async (sources) => {
            const { highlight } = await import("/page/highlight.js");
            const changed = [];
            for (const language of ["python", "js", "json"]) for (const source of sources) {
                const code = document.createElement("code");
                code.append(...highlight(source, language));
                if (code.textContent !== source) changed.push(`${language}: ${source.slice(0, 20)}`);
            }
            return changed;
        }""",
        sources,
    )
    assert changed == []
