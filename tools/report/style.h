#pragma once

namespace baton::report {

// The page's CSS. Colours after Okabe and Ito ("Color Universal Design", 2008), told apart by the
// colour-blind; a second record has dashes, so that print without colour can be read. Print is always light.
inline constexpr char kStyle[] = R"css(
:root{--paper:#fff;--ink:#1b1f24;--faint:#66707b;--rule:#d8dde3;--good:#00694f;--bad:#b03a00;--wash:#f4f6f8;
--p0:#0072b2;--p1:#d55e00;--p2:#009e73;--p3:#cc79a7;--p4:#c28700;--p5:#4aa8dc;--p6:#7b5ea7;--p7:#555}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e4e7ea;--faint:#9aa4ae;--rule:#343b42;
--good:#3fc79a;--bad:#ff8a4c;--wash:#1d2226;--p0:#4fa8e0;--p1:#ff8a3d;--p2:#2fc79a;--p3:#e59cc4;--p4:#f0b93a;
--p5:#8fd0f5;--p6:#b09add;--p7:#b5bbc2}}
*{box-sizing:border-box}
body{margin:0 auto;padding:24px 20px 60px;max-width:1360px;background:var(--paper);color:var(--ink);
font:14px/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px;border-bottom:1px solid var(--rule);padding-bottom:3px}
p{margin:6px 0;max-width:100ch;overflow-wrap:anywhere}.note,small{color:var(--faint);font-size:12px}
.verdict{border-left:5px solid var(--faint);background:var(--wash);padding:8px 14px;margin:12px 0}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}.verdict b{letter-spacing:.04em}
.good b{color:var(--good)}.bad b{color:var(--bad)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:12.5px;margin:6px 0}
th,td{padding:3px 9px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th{color:var(--faint);font-weight:600;vertical-align:bottom}td{overflow-wrap:anywhere;max-width:70ch}
td.n{white-space:nowrap;overflow-wrap:normal;font-variant-numeric:tabular-nums}td small{white-space:nowrap;font-size:11px;font-weight:400}
td.ok{color:var(--good);font-weight:600}td.bad{color:var(--bad);font-weight:600}td.faint{color:var(--faint)}
pre{background:var(--wash);padding:8px 12px;font-size:12px;white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:18px 28px}
figure{margin:0;break-inside:avoid}svg{max-width:100%;height:auto;display:block}
svg text{font:11px system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
svg .label{stroke:var(--paper);stroke-width:3;paint-order:stroke}svg .title{font-size:13px;font-weight:600}svg .tick{fill:var(--faint)}
.grid{stroke:var(--rule)}.axis{stroke:var(--faint)}.leader{stroke:var(--rule);fill:none}
.line{stroke:var(--c);stroke-width:2;fill:none;stroke-linejoin:round}.line.thin{stroke-width:1.4}
.band{fill:var(--c);fill-opacity:.16;stroke:var(--c);stroke-opacity:.3;stroke-width:.7}.dot,.bar{fill:var(--c)}
.behind{opacity:.35}.line.thin.behind{stroke-width:.8}
.mark{stroke:var(--bad);stroke-width:1.2}.mark.end{stroke:var(--good);stroke-dasharray:3 3}
svg .marktext{fill:var(--bad);stroke:var(--paper);stroke-width:3;paint-order:stroke}svg .marktext.end{fill:var(--good)}
.d1{stroke-dasharray:7 4}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:9 3 2 3}
.c0{--c:var(--p0)}.c1{--c:var(--p1)}.c2{--c:var(--p2)}.c3{--c:var(--p3)}.c4{--c:var(--p4)}.c5{--c:var(--p5)}
.c6{--c:var(--p6)}.c7{--c:var(--p7)}
@page{size:A4 landscape;margin:12mm}
@media print{td small{font-size:8px}th,td{padding-right:5px}body{max-width:none;padding:0;font-size:11px}table{font-size:9.5px}h2{break-after:avoid}tr{break-inside:avoid}
.figures{grid-template-columns:1fr 1fr;gap:10px 14px}.wide{overflow:visible}}
)css";

}  // namespace baton::report
