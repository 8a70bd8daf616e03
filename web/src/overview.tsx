import { admin } from "./client";
import { moment, size } from "./format";
import type { Drive, StatusResponse } from "./gen/tarn/v1/admin_pb";
import { useLoad } from "./load";

export function Overview() {
  const status = useLoad(() => admin.status({ redundancy: false }), []);
  if (status.error) return <p className="error">{status.error}</p>;
  if (!status.value) return <p className="empty">Loading…</p>;
  return <Status status={status.value} />;
}

function Status({ status }: { status: StatusResponse }) {
  return (
    <>
      <header>
        <h1>Overview</h1>
      </header>
      <div className="cards">
        <Card name="State" value={status.writable ? "reads and writes" : "read-only"} bad={!status.writable} note={status.reason} />
        <Card name="Erasure code" value={`${status.dataShards}+${status.parityShards}`} note={`any ${status.parityShards} drives may be lost`} />
        <Card name="Failure domains" value={String(status.failureDomains)} bad={status.failureDomains <= status.parityShards} note="drives on one device are one domain" />
        <Card name="Buckets" value={String(status.buckets)} note="" />
      </div>
      {status.repair?.running && (
        <p className="warning">
          Repair is under way: {status.repair.healed.toLocaleString()} of {status.repair.damaged.toLocaleString()} damaged stripes healed so far.
        </p>
      )}
      {status.move?.running && (
        <p className="warning">
          Shards are moved ({status.move.kind}): {status.move.stripes.toLocaleString()} stripes, {size(status.move.bytes)} so far.
        </p>
      )}
      {status.warnings.map((warning) => (
        <p className="warning" key={warning}>
          {warning}
        </p>
      ))}
      <h2>Drives</h2>
      <p className="empty">
        {status.placement}
        {status.groups > 1 && `; ${status.groups} drive groups`}
      </p>
      <DriveTable drives={status.drives} />
    </>
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

function DriveTable({ drives }: { drives: Drive[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th>Drive</th>
          <th>State</th>
          <th className="number">Used</th>
          <th className="number">Free</th>
          <th>Holds</th>
          <th>Place</th>
          <th>Path</th>
        </tr>
      </thead>
      <tbody>
        {drives.map((drive) => (
          <tr key={drive.number}>
            <td>{drive.number}</td>
            <td className={drive.state === "well" ? "" : "error"}>
              {drive.drained ? "drained" : drive.state}
              {drive.since && <small> since {moment(drive.since)}</small>}
              {drive.draining && !drive.drained && <small> {size(drive.bytesLeft)} left</small>}
              {drive.reason && <div className="reason">{drive.reason}</div>}
            </td>
            <td className="number">{size(drive.usedBytes)}</td>
            <td className="number">{size(drive.freeBytes)}</td>
            <td>{[drive.journal && "journal", drive.view && "index view"].filter(Boolean).join(", ")}</td>
            <td>{[drive.zone, drive.rack, drive.node].filter(Boolean).join(" / ")}</td>
            <td className="path">{drive.path}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
