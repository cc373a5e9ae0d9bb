/** The console's style sheet and its icon. */

export const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1f5fbf"/><path d="M3 11V8h3v3zm4 0V5h3v6zm4 0V3h2v8zM3 12h10v1H3z" fill="#fff"/></svg>'

export const style = `:root{color-scheme:light dark;
--bg:light-dark(#f5f6f8,#0f1216);--panel:light-dark(#fff,#171b21);--text:light-dark(#1a1f26,#e6e9ee);--muted:light-dark(#5a6472,#9aa5b4);
--line:light-dark(#dfe3e8,#2a313a);--link:light-dark(#1755b3,#7fb2ff);--ok:light-dark(#1a7f4b,#4cc38a);--warn:light-dark(#8a5a00,#e2b04a);--fail:light-dark(#b42318,#ff8a7a);
--okbg:light-dark(#e9f6ef,#10261b);--warnbg:light-dark(#fdf4e0,#2b2210);--failbg:light-dark(#fdecea,#331614);
--c1:light-dark(#2f6fd0,#5b96ee);--c2:light-dark(#e0892b,#e39a4a);--c3:light-dark(#7a52c7,#a98aec);--c4:light-dark(#1f9a8a,#3fb8a8);--c5:light-dark(#c2413a,#e8695f);--grey:light-dark(#98a2b0,#6a7585)}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
a{color:var(--link);text-underline-offset:.15em}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:var(--panel);padding:4px 8px;z-index:1}
header{display:flex;flex-wrap:wrap;align-items:center;gap:4px 24px;padding:0 24px;background:var(--panel);border-bottom:1px solid var(--line)}
header p{margin:0}.brand a{font-weight:650;color:inherit;text-decoration:none;letter-spacing:-.01em}.brand span,.who{color:var(--muted);font-size:13px}.brand span{margin-left:6px}
.who{margin-left:auto;padding:8px 0}
nav ul{display:flex;flex-wrap:wrap;list-style:none;margin:0;padding:0}
nav a{display:block;padding:12px 10px;color:var(--muted);text-decoration:none;border-bottom:2px solid transparent}
nav a:hover{color:var(--text)}nav a[aria-current]{color:var(--text);border-color:var(--link);font-weight:600}
main{max-width:1180px;margin:0 auto;padding:20px 24px 48px;display:grid;grid-template-columns:minmax(0,1fr);gap:20px}
.title{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 16px}.title p,.title h1{margin:0}.at{color:var(--muted);font-size:13px}
h1{font-size:22px;letter-spacing:-.01em}h2{font-size:15px;margin:0 0 12px}h3{font-size:14px;margin:0 0 6px}
section,figure,.facts>div,.notice{background:var(--panel);border:1px solid var(--line);border-radius:8px}
section,figure{margin:0;padding:16px 18px}section>*:last-child{margin-bottom:0}
.notice{padding:12px 16px;border-left-width:4px}.notice p{margin:0}
.notice.ok{background:var(--okbg);border-color:var(--ok)}.notice.warn{background:var(--warnbg);border-color:var(--warn)}.notice.fail{background:var(--failbg);border-color:var(--fail)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(165px,46%),1fr));gap:12px;margin:0}
.facts>div{padding:12px 14px}.facts dt{color:var(--muted);font-size:13px}.facts dd{margin:0;overflow-wrap:anywhere}.facts b{display:block;font-size:21px;font-weight:620;letter-spacing:-.01em}.facts dd span{color:var(--muted);font-size:13px}
.side{display:flex;flex-wrap:wrap;gap:12px}.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:20px}
svg{display:block;width:100%;height:auto}svg text{fill:var(--muted);font-size:11px}
.grid{stroke:var(--line);stroke-width:1;fill:none}.tick{stroke:var(--muted)}text.y,text.far{text-anchor:end}text.x{text-anchor:middle}
.now{stroke:var(--text);stroke-dasharray:2 3}svg text.nowtext,svg text.far{fill:var(--text)}
.lane.live,.waits,.outcome.sent{fill:var(--c1)}.lane.high,.outcome.stranger{fill:var(--c3)}.lane.bulk,.outcome.known{fill:var(--c4)}.lane.replay,.outcome.waited{fill:var(--c2)}.outcome.refused{fill:var(--c5)}
.lane,.waits{opacity:.85}.frees{fill:var(--grey);opacity:.35}
.foretold{fill:none;stroke:var(--c3);stroke-width:2;stroke-dasharray:5 4}.age{fill:none;stroke:var(--c2);stroke-width:2}
.limit{stroke:var(--fail);stroke-width:1.5}.live-ceiling{stroke:var(--fail);stroke-dasharray:3 3}.reserve{fill:var(--fail);opacity:.13}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;list-style:none;margin:0 0 8px;padding:0;color:var(--muted);font-size:13px}.legend li{display:flex;align-items:center;gap:5px}.legend svg{width:12px;flex:none}.key{fill:none}.legend .key{stroke-width:3}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(240px,100%),1fr));gap:16px;margin-bottom:8px}.card{padding:0;border:0}.card p{margin:6px 0 0;color:var(--muted);font-size:13px}
details{margin-top:10px}summary{color:var(--link);cursor:pointer;font-size:13px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px}caption{text-align:left;color:var(--muted);font-size:13px;padding:4px 0}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}thead th{color:var(--muted);font-weight:500;white-space:nowrap}tbody th{font-weight:500}th,td{white-space:nowrap}.n{text-align:right}.long{display:block;white-space:normal;min-width:200px;overflow-wrap:anywhere}tbody tr:last-child>*{border-bottom:0}
.checks{list-style:none;margin:0;padding:0;columns:2 320px}.checks li{padding:3px 0 3px 20px;position:relative;break-inside:avoid}.checks li::before{content:"";position:absolute;left:2px;top:.75em;width:9px;height:9px;border-radius:50%;background:var(--ok)}
.checks .warn::before{background:var(--warn);border-radius:0}.checks .fail::before{background:var(--fail);border-radius:0;transform:rotate(45deg)}.warn em{color:var(--warn)}.fail em{color:var(--fail)}em{font-style:normal;font-weight:600}
.none,small{color:var(--muted)}small{display:block;font-weight:400}.tag{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:0 8px;font-size:12px;color:var(--muted)}
form{display:flex;flex-wrap:wrap;gap:12px;align-items:end;margin:0 0 12px}form>*{min-width:0;max-width:100%}td form{margin:0}fieldset{border:0;margin:0;padding:0}legend{padding:0;font-size:13px;font-weight:500}label{display:block;font-size:13px;font-weight:500;min-width:0}
input,select,textarea,button{font:inherit;color:inherit}input:not([type=checkbox],[type=radio],[type=hidden]),select,textarea{display:block;margin-top:3px;padding:6px 8px;background:var(--bg);border:1px solid var(--grey);border-radius:6px;max-width:100%}
textarea{width:100%;min-height:150px;font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}.wide{flex:1 1 100%}
button{padding:7px 14px;border:1px solid var(--link);border-radius:6px;background:var(--panel);color:var(--link);font-weight:600;cursor:pointer}button:hover{background:var(--bg)}button.grave{border-color:var(--fail);color:var(--fail)}
code,pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}code{overflow-wrap:anywhere}pre{margin:6px 0;padding:10px 12px;background:var(--bg);border:1px solid var(--line);border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;max-height:420px;overflow-y:auto}
.check{display:flex;gap:8px;align-items:baseline}progress{width:100%;height:12px;accent-color:var(--c1)}.line{list-style:none;margin:0;padding:0;border-left:2px solid var(--line)}.line li{padding:4px 0 10px 16px;position:relative}.line li::before{content:"";position:absolute;left:-5px;top:.7em;width:8px;height:8px;border-radius:50%;background:var(--c1)}
@media(max-width:600px){header,main{padding-left:14px;padding-right:14px}section,figure{padding:14px}svg text{font-size:20px}svg.bars text{font-size:12px}text.odd{display:none}.who{margin-left:0;padding:0 0 8px}nav a{padding:8px 12px 8px 0}}
`
