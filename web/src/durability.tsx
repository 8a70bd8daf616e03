import { durationMs, type Duration } from "@bufbuild/protobuf/wkt";
import { useEffect, useState } from "react";
import { admin, describe, durability } from "./client";
import { moment, size } from "./format";
import type { Drive } from "./gen/tarn/v1/admin_pb";
import type { AuditResponse, DurabilityEstimate, DurabilityPeriod, DurabilityResponse, LossEntry, Redundancy } from "./gen/tarn/v1/durability_pb";
import { useLoad } from "./load";

/** How safe the bytes were and are: what was read and verified, what was found, what a model makes of it. */
export function Durability() {
  const report = useLoad(() => durability.durability({}), []);
  const audit = useLoad(() => durability.audit({}), []);
  const status = useLoad(() => admin.status({ redundancy: false }), []);
  const [said, setSaid] = useState("");
  const reload = audit.reload;
  useEffect(() => {
    const timer = setInterval(reload, 3000); // audits go on
    return () => clearInterval(timer);
  }, [reload]);
  const begin = () =>
    void durability.audit({ start: true }).then(
      () => {
        setSaid("Every drive is read from its beginning, as fast as users let it.");
        reload();
      },
      (error: unknown) => setSaid(describe(error)),
    );
  const failure = report.error ?? audit.error ?? status.error;
  if (failure) return <p className="error">{failure}</p>;
  if (!report.value || !audit.value || !status.value) return <p className="empty">Loading…</p>;
  return (
    <>
      <header>
        <h1>Durability</h1>
        <button onClick={begin}>Audit now</button>
        {said && <span role="status">{said}</span>}
      </header>
      <Summary report={report.value} audit={audit.value} />
      <Losses losses={report.value.losses} />
      <h2>Measured</h2>
      <Periods periods={report.value.periods} />
      <h2>Audits</h2>
      <p className="empty">Every byte is read and verified once in {span(audit.value.every)}.</p>
      <DriveAudits audit={audit.value} drives={status.value.drives} />
      <Problems audit={audit.value} />
      {report.value.estimate && <Estimate estimate={report.value.estimate} />}
    </>
  );
}

function Summary({ report, audit }: { report: DurabilityResponse; audit: AuditResponse }) {
  const damaged = below(report.stripes);
  return (
    <>
      <div className="cards">
        <Card name="Acknowledged bytes lost" value={size(report.lostBytes)} bad={report.lostStripes > 0n} note={report.lostStripes > 0n ? `${count(report.lostStripes)} stripes in the ledger` : "the ledger has no open entry"} />
        <Card name="Nines a year" value={report.estimate ? nines(report.estimate.nines) : "–"} note="of the model below, with its assumptions" />
        <Card name="Verified within" value={span(report.auditAgeMax)} note={`half of all bytes within ${span(report.auditAgeHalf)}`} />
        <Card name="Read by audits" value={size(audit.found?.bytes ?? 0n)} note={`${count(audit.found?.shards ?? 0n)} shards whole, ${count(audit.found?.bad ?? 0n)} bad, since the start`} bad={(audit.found?.bad ?? 0n) > 0n} />
      </div>
      <h2>Redundancy</h2>
      <Levels stripes={report.stripes} />
      {damaged > 0n && <p className="warning">{count(damaged)} stripes lack shards; repair takes those with the least left first.</p>}
    </>
  );
}

/** The stripes that have not all of the shards that they should. */
function below(stripes?: Redundancy): bigint {
  if (!stripes) return 0n;
  return stripes.bySpare.slice(0, -1).reduce((sum, n) => sum + n, stripes.lost);
}

function Levels({ stripes }: { stripes?: Redundancy }) {
  if (!stripes) return <p className="empty">Not counted yet.</p>;
  const rows = stripes.bySpare.map((n, spare) => ({ name: spare === 1 ? "1 more shard may be lost" : `${spare} more shards may be lost`, n, bad: spare < stripes.bySpare.length - 1 && n > 0n }));
  rows.reverse();
  rows.push({ name: "too few shards can be read", n: stripes.lost, bad: stripes.lost > 0n });
  const most = rows.reduce((high, row) => (row.n > high ? row.n : high), 1n);
  return (
    <table className="levels">
      <tbody>
        {rows.map((row) => (
          <tr key={row.name}>
            <td>{row.name}</td>
            <td className="number">{count(row.n)} blobs</td>
            <td>
              <div className={row.bad ? "bar bad" : "bar"} style={{ width: `${Number((row.n * 100n) / most)}%` }} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Card({ name, value, note, bad }: { name: string; value: string; note: string; bad?: boolean }) {
  return (
    <section className={bad ? "card bad" : "card"}>
      <h3>{name}</h3>
      <strong>{value}</strong>
      <small>{note}</small>
    </section>
  );
}

function Losses({ losses }: { losses: LossEntry[] }) {
  if (losses.length === 0) return null;
  return (
    <>
      <h2>Ledger of losses</h2>
      <ul>
        {losses.map((loss) => (
          <li key={loss.stripe} className="error">
            {loss.key}: {size(loss.bytes)} since {moment(loss.since)}, {loss.good} of {loss.needed} shards. {loss.cause}
          </li>
        ))}
      </ul>
    </>
  );
}

const measures: [string, (period: DurabilityPeriod) => string][] = [
  ["Time the store was open", (p) => span(p.measured)],
  ["Bytes verified", (p) => size(p.bytesVerified)],
  ["Shards verified", (p) => count(p.shardsVerified)],
  ["Latent errors found", (p) => count(p.latentErrors)],
  ["Errors that readers met", (p) => count(p.readErrors)],
  ["Stripes healed", (p) => `${count(p.repaired)} (${size(p.repairedBytes)})`],
  ["Repair time, half and longest", (p) => `${span(p.repairHalf)}, ${span(p.repairMax)}`],
  ["Drives lost", (p) => count(p.driveFailures)],
  ["Devices lost", (p) => count(p.deviceFailures)],
  ["Acknowledged bytes lost", (p) => size(p.lostBytes)],
  ["… proved to be back", (p) => size(p.returnedBytes)],
  ["… deleted by users", (p) => size(p.deletedBytes)],
];

function Periods({ periods }: { periods: DurabilityPeriod[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th />
          {periods.map((period) => (
            <th key={period.name} className="number">
              {period.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {measures.map(([name, value]) => (
          <tr key={name}>
            <td>{name}</td>
            {periods.map((period) => (
              <td key={period.name} className="number">
                {value(period)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function DriveAudits({ audit, drives }: { audit: AuditResponse; drives: Drive[] }) {
  return (
    <table data-testid="audits">
      <thead>
        <tr>
          <th>Drive</th>
          <th>State</th>
          <th>Domain</th>
          <th className="number">Holds</th>
          <th>Audit</th>
          <th className="number">Verified within</th>
          <th className="number">Half within</th>
          <th className="number">Superfluous</th>
        </tr>
      </thead>
      <tbody>
        {drives.map((drive) => {
          const own = audit.drives.find((one) => one.drive === drive.number);
          return (
            <tr key={drive.number}>
              <td>{drive.number}</td>
              <td className={drive.state === "well" ? "" : "error"}>{drive.state}</td>
              <td>
                {[drive.zone, drive.rack, drive.node].filter(Boolean).join(" / ")}
                <small> device {drive.device || "not known"}</small>
              </td>
              <td className="number">{size(own?.bytesTotal ?? 0n)}</td>
              <td>
                {!own && "cannot be read"}
                {own?.running && `under way: ${size(own.bytes)} read`}
                {own && !own.running && (own.lastEnded ? `last ended ${moment(own.lastEnded)}` : "not yet")}
              </td>
              <td className="number">{span(own?.ageMax)}</td>
              <td className="number">{span(own?.ageHalf)}</td>
              <td className="number">{count(own?.orphans ?? 0n)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Problems({ audit }: { audit: AuditResponse }) {
  if (audit.problems.length === 0) return <p className="empty">Audits have found no damage since the server was started.</p>;
  return (
    <>
      <h2>Found last</h2>
      <table>
        <tbody>
          {audit.problems.slice(-20).reverse().map((problem, i) => (
            <tr key={i}>
              <td>{moment(problem.at)}</td>
              <td>drive {problem.drive}</td>
              <td className="path">{problem.key}</td>
              <td>{problem.what}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Estimate({ estimate }: { estimate: DurabilityEstimate }) {
  return (
    <>
      <h2>The model</h2>
      <p>
        <strong>{nines(estimate.nines)} nines a year</strong>: a given stripe is lost with a probability of {estimate.lossInYear.toPrecision(2)}; {Math.round(estimate.bytesInYear).toLocaleString()} bytes a year on
        average. {nines(estimate.ninesIndependent)} nines were drives alone to fail, each for itself. {estimate.failureDomain}
      </p>
      <table>
        <thead>
          <tr>
            <th>Rate</th>
            <th className="number">Measured</th>
            <th className="number">Over</th>
            <th className="number">The model takes</th>
          </tr>
        </thead>
        <tbody>
          {estimate.rates.map((rate) => (
            <tr key={rate.name}>
              <td>{rate.name}</td>
              <td className="number">{count(rate.events)}</td>
              <td className="number">
                {rate.unitYears.toPrecision(3)} {rate.unit}s
              </td>
              <td className="number">
                {rate.upper.toPrecision(2)} a {rate.unit}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3>What it assumes</h3>
      <ul>
        {estimate.assumptions.map((assumption) => (
          <li key={assumption}>{assumption}</li>
        ))}
      </ul>
    </>
  );
}

function count(n: bigint): string {
  return n.toLocaleString();
}

function nines(n: number): string {
  return n.toFixed(1);
}

/** A duration in its two largest units. */
function span(duration?: Duration): string {
  if (!duration) return "–";
  const seconds = Math.round(durationMs(duration) / 1000);
  const units: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([length]) => seconds >= length);
  if (first < 0) return "under 1 s";
  const [length, name] = units[first]!;
  const next = units[first + 1];
  const rest = next ? Math.floor((seconds % length) / next[0]) : 0;
  return `${Math.floor(seconds / length)} ${name}${next && rest > 0 ? ` ${rest} ${next[1]}` : ""}`;
}
