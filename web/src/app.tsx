import { useCallback, useEffect, useState } from "react";
import { BucketList, ObjectBrowser } from "./buckets";
import { loggedOut, session } from "./client";
import type { WhoAmIResponse } from "./gen/tarn/v1/admin_pb";
import { Durability } from "./durability";
import { Login } from "./login";
import { href, useRoute } from "./route";
import { Search } from "./search";
import { Overview } from "./overview";

type Visitor = "unknown" | "nobody" | WhoAmIResponse;

export function App() {
  const [visitor, setVisitor] = useState<Visitor>("unknown");
  const [failure, setFailure] = useState("");
  const look = useCallback(() => {
    session.whoAmI({}).then(
      (who) => {
        setFailure("");
        setVisitor(who);
      },
      (error: unknown) => {
        setVisitor("nobody");
        setFailure(loggedOut(error) ? "" : "The server does not answer.");
      },
    );
  }, []);
  useEffect(look, [look]);
  if (visitor === "unknown") return null;
  if (visitor === "nobody") return <Login failure={failure} done={look} />;
  const leave = () => void session.logout({}).then(look, look);
  return <Frame who={visitor} leave={leave} />;
}

function Frame({ who, leave }: { who: WhoAmIResponse; leave: () => void }) {
  const route = useRoute();
  const page = route[0] ?? "overview";
  return (
    <div className="frame">
      <nav aria-label="Main">
        <a className="mark" href={href("overview")}>
          Tarn
        </a>
        <NavLink to="overview" at={page} text="Overview" />
        <NavLink to="buckets" at={page} text="Buckets" />
        <NavLink to="search" at={page} text="Search" />
        <NavLink to="durability" at={page} text="Durability" />
        <div className="who">
          <span title={who.accessKey}>{who.name}</span>
          <button className="quiet" onClick={leave}>
            Log out
          </button>
          <small>{who.version}</small>
        </div>
      </nav>
      <main>
        <Page route={route} />
      </main>
    </div>
  );
}

function NavLink({ to, at, text }: { to: string; at: string; text: string }) {
  return (
    <a href={href(to)} aria-current={at === to ? "page" : undefined}>
      {text}
    </a>
  );
}

function Page({ route }: { route: string[] }) {
  switch (route[0]) {
    case undefined:
    case "overview":
      return <Overview />;
    case "buckets":
      return route[1] ? <ObjectBrowser bucket={route[1]} prefix={route[2] ?? ""} /> : <BucketList />;
    case "search":
      return <Search bucket={route[1] ?? ""} index={route[2] ?? ""} like={route[3] ?? ""} />;
    case "durability":
      return <Durability />;
    default:
      return <p className="empty">There is no such page.</p>;
  }
}
