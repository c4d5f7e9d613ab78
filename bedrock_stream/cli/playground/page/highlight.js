// Colours for the code of a few languages: strings, comments, numbers and keywords. The time grows with the length: each
// pattern consumes what it has scanned, whether it is closed or not.

import { make } from "./dom.js";

const MAX_LENGTH = 20_000; // characters; longer code stays plain
const STRING = String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|` + "`(?:[^`\\\\]|\\\\[\\s\\S])*`?";
const pattern = (comment) => new RegExp(`(${STRING})|(${comment})|((?<![\\w.])\\d[\\w.]*)|([A-Za-z_]\\w*)`, "g");
const HASH = pattern(String.raw`#[^\n]*`);
const SLASH = pattern(String.raw`\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`);
const words = (text) => new Set(text.split(" "));
const PYTHON = [HASH, words("and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return True try while with yield")];
const SCRIPT = [SLASH, words("abstract as async await bool boolean break case catch char class const continue default do double else enum export extends false final finally float fn for from func function go if impl implements import in int interface let long match mut namespace new nil null of package private protected pub public return self static string struct super switch this throw throws true try type typeof undefined use var void while yield")];
const SHELL = [HASH, words("case do done elif else esac export fi for function if in local return then while")];
const DATA = [HASH, words("true false null yes no")];
const LANGUAGES = new Map(Object.entries({
  python: PYTHON, py: PYTHON,
  javascript: SCRIPT, js: SCRIPT, jsx: SCRIPT, typescript: SCRIPT, ts: SCRIPT, tsx: SCRIPT, java: SCRIPT, c: SCRIPT,
  cpp: SCRIPT, "c++": SCRIPT, csharp: SCRIPT, go: SCRIPT, rust: SCRIPT, rs: SCRIPT, swift: SCRIPT, kotlin: SCRIPT,
  bash: SHELL, sh: SHELL, shell: SHELL, zsh: SHELL,
  json: DATA, yaml: DATA, yml: DATA, toml: DATA,
}));

/** Return the nodes of a piece of code. */
export function highlight(source, language) {
  const [tokens, keywords] = LANGUAGES.get(language?.toLowerCase()) ?? [];
  if (!tokens || source.length > MAX_LENGTH) return [source];
  const nodes = [];
  let at = 0;
  for (const match of source.matchAll(tokens)) {
    const kind = kindOf(match, keywords);
    if (!kind) continue;
    if (match.index > at) nodes.push(source.slice(at, match.index));
    nodes.push(make("span", `code-${kind}`, match[0]));
    at = match.index + match[0].length;
  }
  nodes.push(source.slice(at));
  return nodes;
}

function kindOf([, string, comment, number, word], keywords) {
  if (string !== undefined) return "string";
  if (comment !== undefined) return "comment";
  if (number !== undefined) return "number";
  return keywords.has(word) ? "keyword" : null;
}
