import java.io.FileReader;
import java.util.Properties;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.dsp.system.DspSystemLauncher;
import org.eclipse.dataspacetck.runtime.ConsoleResultWriter;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/** Starts a kit that was published without the module that does: its own runtime, tests and writer of results. */
public class Launch {
    public static void main(String[] arguments) throws Exception {
        var properties = new Properties();
        try (var file = new FileReader(arguments[1])) {
            properties.load(file);
        }
        var monitor = new ConsoleMonitor(false, false);
        var runtime = TckRuntime.Builder.newInstance()
                .launcher(DspSystemLauncher.class)
                .addPackage("org.eclipse.dataspacetck.dsp.verification")
                .monitor(monitor);
        properties.stringPropertyNames().forEach(name -> runtime.property(name, properties.getProperty(name)));
        new ConsoleResultWriter(monitor).output(runtime.build().execute());
        monitor.message("Test run complete");
    }
}
