import { defineWidgetConfig } from "@medusajs/admin-sdk"
import { Button } from "@medusajs/ui"
import { Link } from "react-router-dom"
import { JobPanel } from "../parts/job-panel"

const CatalogSyncWidget = () => (
  <JobPanel
    more={
      <Button size="small" variant="secondary" asChild>
        <Link to="/catalogsync">History</Link>
      </Button>
    }
  />
)

export const config = defineWidgetConfig({ id: "catalogsync:status", zone: "product.list.before" })

export default CatalogSyncWidget
